"""Who is in the design: cohorts, exclusions with reasons, and what is observed when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exportimpact._typing import BoolArray, Comparison, FloatArray, IntArray, Unbalanced
from exportimpact.core.account import SampleAccount
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER, AlignedSupport, Panel
from exportimpact.design.segments import Segment
from exportimpact.errors import InputError
from exportimpact.language import Message, message


@dataclass(frozen=True, eq=False)
class Sample:
    """The firms of a design.

    Attributes
    ----------
    y : (n_firms, n_periods)
        The outcome on its own scale, NaN outside the sample.
    first : (n_firms,)
        Ordinal of first support, `NEVER` for firms without.
    in_never_pool : (n_firms,) bool
    outside_comparison : (n_firms,) bool
        Firms with support from other programmes, which serve in no comparison.
    inside : (n_firms,) bool
        Whether the firm is in the design at all.
    cohorts : (n_cohorts,) ordinals
    own : (n_firms,) bool
        Whether the firm counts as a supported firm of its cohort; all do but for segments.
    members : (n_firms, n_periods) bool, or None
        Who is in the segment of the design when.
    account : SampleAccount
    """

    y: FloatArray
    first: IntArray
    in_never_pool: BoolArray
    outside_comparison: BoolArray
    inside: BoolArray
    cohorts: IntArray
    own: BoolArray
    members: BoolArray | None
    account: SampleAccount

    def of_cohort(self, cohort: int) -> BoolArray:
        """Return the supported firms of a cohort, (n_firms,)."""
        return np.asarray(self.inside & self.own & (self.first == cohort), dtype=bool)

    def in_segment(self, index: IntArray | int) -> BoolArray:
        """Return which firms are in the segment at a period (or one each), (n_firms,)."""
        if self.members is None:
            return np.ones(self.inside.size, dtype=bool)
        found: BoolArray = self.members[np.arange(self.inside.size), index]
        return found


def draw_sample(
    panel: Panel,
    support: AlignedSupport,
    outcome: Outcome,
    *,
    unbalanced: Unbalanced,
    comparison: Comparison,
    strictly_never: bool,
    min_supported: int,
    lead: int,
    segment: Segment | None,
) -> Sample:
    """Return the sample of a design; everything that leaves is in its account with a reason."""
    book = _Book(panel, panel.wide(outcome.name))
    book.add_after_exit()
    book.drop_values(~np.isfinite(book.y) & panel.observed, _missing_reason(outcome))
    book.drop_firms(support.before_panel, message("account.always_supported"))
    outside = support.other_supported & (support.others == "drop_comparison")
    unsupported = (support.first == NEVER) | support.after_panel
    book.drop_firms(outside & unsupported, message("account.other_programme"))
    censored = support.censor_from[:, None] <= panel.calendar.ordinals[None, :]
    book.drop_values(censored & np.isfinite(book.y), message("account.censored"))
    unclear = support.unclear(panel.calendar.ordinals) & np.isfinite(book.y)
    book.drop_values(unclear, message("account.dose_unknown"))
    if strictly_never and comparison == "never":
        book.drop_firms(support.after_panel, message("account.after_panel"))
    first, unsupported = support.first, unsupported & ~(support.after_panel & strictly_never)
    if unbalanced != "pairwise":
        _balance(book, outcome, unbalanced)
    own, members = np.ones(panel.n_firms, dtype=bool), None
    if segment is not None:
        members = segment.members(panel)
        later = np.ones_like(own) if comparison != "never" else unsupported
        own = _segmented(book, first, members, later, lead=lead, segment=segment)
    starts = first[book.inside & own & (first <= panel.calendar.last)]
    cohorts, size = np.unique(starts, return_counts=True)
    small = cohorts[size < min_supported]
    if small.size:
        reason = message("account.small_cohort", minimum=min_supported, cohorts=int(small.size))
        book.drop_firms(np.isin(first, small), reason)
    return Sample(
        y=book.y,
        first=first,
        in_never_pool=book.inside & unsupported,
        outside_comparison=outside,
        inside=book.inside,
        cohorts=cohorts[size >= min_supported],
        own=own,
        members=members,
        account=book.account,
    )


def _missing_reason(outcome: Outcome) -> Message:
    if outcome.scale == "log":
        return message("account.missing_or_not_positive", outcome=outcome.name)
    return message("account.missing_outcome", outcome=outcome.name)


class _Book:
    """Outcome, firms inside, and the account, kept in step with each other."""

    def __init__(self, panel: Panel, y: FloatArray) -> None:
        self.panel = panel
        self.y = y.copy(order="F")  # cells read period by period
        self.inside = np.ones(panel.n_firms, dtype=bool)
        self.account = panel.account

    def add_after_exit(self) -> None:
        added = int((np.isfinite(self.y) & ~self.panel.observed).sum())
        self.account = self.account.drop(
            "design", message("account.zero_after_exit"), firm_periods=-added
        )

    def drop_values(self, which: BoolArray, reason: Message) -> None:
        before = np.isfinite(self.y).any(axis=1) & self.inside
        count = int((which & self.inside[:, None]).sum())
        self.y[which] = np.nan
        gone = self.inside & ~np.isfinite(self.y).any(axis=1) & (before | which.any(axis=1))
        self.inside &= ~gone
        self.account = self.account.drop(
            "design", reason, firms=int(gone.sum()), firm_periods=count
        )

    def drop_firms(self, which: BoolArray, reason: Message) -> None:
        leaving = which & self.inside
        count = int(np.isfinite(self.y[leaving]).sum())
        self.y[leaving] = np.nan
        self.inside = self.inside & ~leaving
        self.account = self.account.drop(
            "design", reason, firms=int(leaving.sum()), firm_periods=count
        )


def _segmented(
    book: _Book,
    first: IntArray,
    members: BoolArray,
    serving: BoolArray,
    *,
    lead: int,
    segment: Segment,
) -> BoolArray:
    """Keep the firms of a segment; return which are in it at their own base period, (n_firms,).

    Comparison firms stay that are in it at the base period of some cohort which starts before them.
    """
    calendar = book.panel.calendar
    own = np.zeros(first.size, dtype=bool)
    compared = np.zeros(first.size, dtype=bool)
    for cohort in np.unique(first[book.inside & (first <= calendar.last)]):
        base = calendar.index(int(cohort) - lead)
        if base is not None:
            own |= members[:, base] & (first == cohort)
            compared |= members[:, base] & (first > cohort) & serving
    reason = message("account.outside_segment", column=segment.column, value=segment.label)
    book.drop_firms(~own & ~compared, reason)
    return own


def _balance(book: _Book, outcome: Outcome, unbalanced: Unbalanced) -> None:
    reported = book.panel.observed.any(axis=0)
    incomplete = book.inside & ~np.isfinite(book.y[:, reported]).all(axis=1)
    if not incomplete.any():
        return
    if unbalanced == "error":
        example = book.panel.units[np.flatnonzero(incomplete)[0]]
        raise InputError(
            "EI-D09",
            f"{int(incomplete.sum())} of {int(book.inside.sum())} firms lack {outcome.name!r} in "
            f"some period, for example firm {example}, and unbalanced='error' was asked for. Use "
            'unbalanced="pairwise" (each comparison uses the firms observed at both ends) or '
            '"balanced" (only firms observed in every period).',
            firms=int(incomplete.sum()),
        )
    book.drop_firms(incomplete, message("account.unbalanced"))
