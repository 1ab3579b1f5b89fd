"""Support on a panel's firms and calendar: cohorts, rounds, supported periods, overlap, linkage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, Dose, FloatArray, IntArray
from exportimpact.core.account import AccountEntry
from exportimpact.data.calendar import Calendar
from exportimpact.data.cards import html_card, text_card
from exportimpact.data.doses import already_supported, filled_before, on_grid
from exportimpact.data.linkage import Linkage, link
from exportimpact.data.panel import Panel
from exportimpact.data.reading import Column
from exportimpact.data.spells import Spells
from exportimpact.errors import InputError
from exportimpact.language import Message, message

NEVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class AlignedSupport:
    """Support of a panel's firms; all arrays are read-only.

    Attributes
    ----------
    first : IntArray of shape (n_firms,)
        Ordinal of first support (by the programme in focus), `NEVER` when there is none.
    before_panel, after_panel : BoolArray of shape (n_firms,)
        First support at or before the first period; after the last one.
    supported : BoolArray of shape (n_firms, n_periods)
        Whether a spell runs in the period.
    periods_supported, spells : IntArray of shape (n_firms,)
        Number of supported periods inside the panel, and of separate runs of them.
    n_programmes : IntArray of shape (n_firms,)
        Number of different programmes, whatever the focus.
    amount : FloatArray of shape (n_firms, n_periods)
        Cumulative amount; NaN when not known.
    score : FloatArray of shape (n_firms,) or None
        Score in the first award's round, else of the first application.
    rounds : IntArray of shape (n_firms,)
        Round of the firm's first award, `NEVER` when there is none.
    rejected : mapping of ordinal to IntArray, or None
        Firms (places in the panel) whose application of that round was not awarded; None when the
        table does not say who applied.
    other_supported : BoolArray of shape (n_firms,)
        Support by programmes out of focus up to the panel's last period.
    censor_from : IntArray of shape (n_firms,)
        Ordinal from which the firm's periods are not used; `NEVER` unless others="censor".
    others : {"drop_comparison", "ignore", "censor"}
        The rule; "drop_comparison" asks the design to leave `other_supported` firms out of pools.
    linkage : DataFrame
        Columns programme, awarded_firms, linked, share.
    account : tuple of AccountEntry
        Firms supported before the panel starts.
    notes : tuple of Message
        What a reader should know.
    dose : FloatArray of shape (n_firms, n_periods) or None
        Dose of each period, NaN where not known; None when support came as spells.
    """

    first: IntArray
    before_panel: BoolArray
    after_panel: BoolArray
    supported: BoolArray
    periods_supported: IntArray
    spells: IntArray
    n_programmes: IntArray
    amount: FloatArray
    score: FloatArray | None
    rounds: IntArray
    rejected: Mapping[int, IntArray] | None
    other_supported: BoolArray
    censor_from: IntArray
    programme: str | None
    others: Literal["drop_comparison", "ignore", "censor"]
    linkage: pd.DataFrame = field(repr=False)
    account: tuple[AccountEntry, ...]
    notes: tuple[Message, ...]
    dose: FloatArray | None = None

    def __post_init__(self) -> None:
        arrays = [a for a in vars(self).values() if isinstance(a, np.ndarray)]
        for array in [*arrays, *(self.rejected or {}).values()]:
            array.flags.writeable = False

    @property
    def cumulative_periods(self) -> IntArray:
        """Number of supported periods up to and including each, (n_firms, n_periods)."""
        return self.supported.cumsum(axis=1, dtype=np.int64)

    def received(self, ordinals: IntArray, dose: Dose | None = None) -> FloatArray:
        """Return how much support each firm had in each period, (n_firms, n_periods).

        Up to a firm's first change it is its first known dose, 0 in spells. NaN where not known.

        Parameters
        ----------
        dose : {"on", "amount"}, optional
            1 and 0, or the amount awarded in the period; by default the dose of a table of doses,
            else 1 and 0.
        """
        before = ordinals[None, :] < self.first[:, None]
        if dose == "amount":
            paid = np.diff(self.amount, axis=1, prepend=0.0)
            return np.asarray(np.where(before & (self.first != NEVER)[:, None], 0.0, paid))
        if self.dose is None:
            return self.supported.astype(np.float64)
        path = np.where(before, self.first_dose[:, None], self.dose)
        return np.asarray(np.where(path > 0, 1.0, path) if dose == "on" else path)

    @property
    def first_dose(self) -> FloatArray:
        """First known dose of each firm, NaN where none is known, 0 in spells, (n_firms,)."""
        if self.dose is None:
            return np.zeros(self.first.size)
        known = np.isfinite(self.dose)
        return np.asarray(self.dose[np.arange(len(known)), known.argmax(axis=1)])

    @property
    def supported_before(self) -> bool:
        """Whether firms that start with support are kept, so that changes differ in kind."""
        kept = (self.first_dose > 0) & ~self.before_panel
        return bool(kept.any())

    def unclear(self, ordinals: IntArray) -> BoolArray:
        """Return in which periods a firm may have been supported unseen, (n_firms, n_periods)."""
        if self.dose is None:
            return np.zeros(self.supported.shape, dtype=bool)
        before = ordinals[None, :] < self.first[:, None]
        return np.asarray(np.isnan(self.dose) & before)

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        ever = self.first != NEVER
        title = f"AlignedSupport: {int(ever.sum()):,} of {len(ever):,} firms supported"
        rows = [("focus", self.programme or "first support of any kind"), ("others", self.others)]
        return title, rows + [("note", str(note)) for note in self.notes[:15]]

    def __repr__(self) -> str:
        return text_card(*self._card())

    def _repr_html_(self) -> str:
        return html_card(*self._card())


@dataclass(frozen=True, eq=False)
class _Linked:
    """Rows of firms that the panel has, on its grid."""

    firm: IntArray
    start: IntArray
    end: IntArray
    round: IntArray
    moved: BoolArray
    awarded: BoolArray
    in_focus: BoolArray
    programme: IntArray
    amount: FloatArray | None
    score: FloatArray | None


def align(
    spells: Spells,
    programme: str | None,
    others: Literal["drop_comparison", "ignore", "censor"],
    panel: Panel,
) -> AlignedSupport:
    """Return the support of the panel's firms on its calendar; `Assignment` documents the rules."""
    linkage = link(spells, programme, panel)
    rows = _on_grid(spells, programme, panel.calendar, linkage)
    calendar, n = panel.calendar, panel.n_firms
    award = rows.awarded & rows.in_focus
    first = _earliest(n, rows.firm[award], rows.start[award])
    is_first = award & (rows.start == first[rows.firm])
    rounds = _earliest(n, rows.firm[is_first], rows.round[is_first])
    dose, first = _path(spells, first, linkage, calendar)
    before = first <= calendar.first
    after = (first > calendar.last) & (first != NEVER)
    supported = _supported(rows, award, calendar, n) if dose is None else dose > 0
    other = rows.awarded & ~rows.in_focus & (rows.start <= calendar.last)
    other_first = _earliest(n, rows.firm[other], rows.start[other])
    entry = AccountEntry(
        "support",
        message("data.before_panel", period=calendar.label(calendar.first)),
        int(before.sum()),
        int(panel.observed[before].sum()),
    )
    aligned = AlignedSupport(
        first=first,
        before_panel=before,
        after_panel=after,
        supported=supported,
        periods_supported=supported.sum(axis=1, dtype=np.int64),
        spells=_runs(supported),
        n_programmes=_overlap(rows, calendar, n),
        amount=_amounts(rows, award, calendar, n),
        score=_scores(rows, is_first, n),
        rounds=rounds,
        rejected=_rejected(rows, n) if spells.has_applications else None,
        other_supported=other_first != NEVER,
        censor_from=other_first if others == "censor" else np.full(n, NEVER),
        programme=programme,
        others=others,
        linkage=linkage.table,
        account=(entry,) if entry.firms else (),
        notes=(),
        dose=dose,
    )
    notes = (*_notes(aligned, rows, award, spells, calendar), *linkage.notes)
    object.__setattr__(aligned, "notes", notes)
    return aligned


def _path(
    spells: Spells, first: IntArray, linkage: Linkage, calendar: Calendar
) -> tuple[FloatArray | None, IntArray]:
    """Return doses on the grid, and first changes; firms with a first dose come before it."""
    if spells.doses is None:
        return None, first
    place, n = linkage.firm, first.size
    already = already_supported(spells.doses, place, n)
    first = np.where(already, np.minimum(first, calendar.first), first)
    ordinals = _ordinals(spells.doses.when, calendar)
    dose = on_grid(spells.doses, ordinals, place, calendar, n)
    return filled_before(dose, calendar.ordinals[None, :] < first[:, None]), first


def _earliest(n: int, firm: IntArray, ordinal: IntArray) -> IntArray:
    first = np.full(n, NEVER, dtype=np.int64)
    np.minimum.at(first, firm, ordinal)
    return first


def _on_grid(
    spells: Spells, programme: str | None, calendar: Calendar, linkage: Linkage
) -> _Linked:
    there = np.flatnonzero(linkage.firm >= 0)
    raw = _ordinals(spells.start, calendar)[there]
    start = np.where(spells.start.missing[there], NEVER, calendar.onto_grid(raw))
    moved = (start != raw) & (start != NEVER)
    end = start
    if spells.end is not None:
        ends = _ordinals(spells.end, calendar)[there]
        end = np.where(spells.end.missing[there], calendar.last, ends)
    rounds = start
    if spells.applied is not None:
        applied = calendar.onto_grid(_ordinals(spells.applied, calendar)[there])
        rounds = np.where(spells.applied.missing[there], start, applied)
    codes = spells.programme[there]
    in_focus = np.ones(len(there), dtype=bool)
    if programme is not None:
        in_focus = codes == spells.programmes.index(programme)
    return _Linked(
        firm=linkage.firm[there],
        start=start,
        end=end,
        round=rounds,
        moved=moved,
        awarded=spells.awarded[there],
        in_focus=in_focus,
        programme=codes,
        amount=None if spells.amount is None else spells.amount[there],
        score=None if spells.score is None else spells.score[there],
    )


def _ordinals(column: Column, calendar: Calendar) -> IntArray:
    """Ordinals on the panel's calendar; EI-A16 when the two cannot be brought together."""
    is_date = column.kind == "date"
    if is_date and calendar.takes_dates:
        return calendar.of_dates(column.values)
    if column.missing.all():
        return np.zeros(len(column.values), dtype=np.int64)
    if not is_date and calendar.frequency in ("step", "year"):
        return column.values
    example = calendar.label(calendar.first)
    held = "dates" if is_date else "whole numbers"
    fix = "Number the periods of support as in the panel." if is_date else "Give dates."
    raise InputError(
        "EI-A16",
        f"Column {column.name!r} holds {held} (such as {column.example()}), while the panel's "
        f"periods look like {example!r}; support cannot be placed on the panel's calendar. {fix}",
        column=column.name,
        example=column.example(),
    )


def _supported(rows: _Linked, award: BoolArray, calendar: Calendar, n: int) -> BoolArray:
    """Union of spells: starts and ends are counted up, then summed over time."""
    n_periods = len(calendar.ordinals)
    inside = award & (rows.start <= calendar.last)
    first = calendar.places(rows.start[inside])
    last = np.maximum(calendar.places(rows.end[inside]), first)  # a moved start keeps its period
    firm = rows.firm[inside]
    inside = last >= 0
    first, last = np.maximum(first[inside], 0), np.minimum(last[inside], n_periods - 1)
    width = n_periods + 1
    cells = firm[inside] * width
    change = np.bincount(cells + first, minlength=n * width)
    change = change - np.bincount(cells + last + 1, minlength=n * width)
    running = change.reshape(n, width).cumsum(axis=1)[:, :n_periods]
    return np.asarray(running > 0)


def _runs(supported: BoolArray) -> IntArray:
    """Return the number of separate runs of supported periods, (n_firms,)."""
    starts = supported.copy()
    starts[:, 1:] &= ~supported[:, :-1]
    return np.asarray(starts.sum(axis=1, dtype=np.int64))


def _overlap(rows: _Linked, calendar: Calendar, n: int) -> IntArray:
    inside = rows.awarded & (rows.start <= calendar.last)
    n_programmes = int(rows.programme.max(initial=0)) + 1
    pairs = np.unique(rows.firm[inside] * n_programmes + rows.programme[inside])
    return np.bincount(pairs // n_programmes, minlength=n).astype(np.int64)


def _amounts(rows: _Linked, award: BoolArray, calendar: Calendar, n: int) -> FloatArray:
    shape = (n, len(calendar.ordinals))
    if rows.amount is None:
        return np.broadcast_to(np.float64(np.nan), shape).view()
    inside = award & (rows.start <= calendar.last)
    place = np.maximum(calendar.places(rows.start[inside]), 0)
    cells = rows.firm[inside] * shape[1] + place
    paid = np.bincount(cells, weights=rows.amount[inside], minlength=shape[0] * shape[1])
    return paid.reshape(shape).cumsum(axis=1)


def _scores(rows: _Linked, is_first: BoolArray, n: int) -> FloatArray | None:
    if rows.score is None:
        return None
    score = np.full(n, np.nan)
    order = np.lexsort((rows.round, ~is_first, rows.firm))
    order = order[rows.in_focus[order]]
    firms, where = np.unique(rows.firm[order], return_index=True)
    score[firms] = rows.score[order[where]]
    return score


def _rejected(rows: _Linked, n: int) -> dict[int, IntArray]:
    refused = ~rows.awarded & rows.in_focus & (rows.round != NEVER)
    granted = rows.awarded & rows.in_focus
    found: dict[int, IntArray] = {}
    for ordinal in np.unique(rows.round[refused]):
        same = rows.round == ordinal
        losers = np.setdiff1d(rows.firm[refused & same], rows.firm[granted & same])
        if len(losers):
            found[int(ordinal)] = losers
    return found


def _notes(
    support: AlignedSupport, rows: _Linked, award: BoolArray, spells: Spells, calendar: Calendar
) -> list[Message]:
    used = (support.first != NEVER) & ~support.before_panel & ~support.after_panel
    firms = int(used.sum())
    same = award & (rows.start != NEVER)
    merged = int(same.sum()) - len(_distinct(rows.firm[same], rows.start[same]))
    counts = {
        "data.after_panel": int(support.after_panel.sum()),
        "data.moved_start": int((rows.moved & award).sum()),
        "data.same_period": merged,
        "data.several_programmes": int((support.n_programmes > 1).sum()),
    }
    if not spells.lasting:
        counts |= {
            "data.one_period": int((used & (support.periods_supported == 1)).sum()),
            "data.comes_again": int((used & (support.spells > 1)).sum()),
        }
    if support.programme is not None:
        others = support.other_supported
        if support.others == "drop_comparison":  # supported firms of the focus stay, as supported
            others = others & ~used
        counts[f"data.others_{support.others}"] = int(others.sum())
    last = calendar.label(calendar.last)
    return [message(id, n=n, of=firms, last=last) for id, n in counts.items() if n]


def _distinct(firm: IntArray, start: IntArray) -> pd.DataFrame:
    return pd.DataFrame({"firm": firm, "start": start}).drop_duplicates()
