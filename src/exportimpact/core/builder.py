"""Where an estimator puts its cells; counts, clusters and the sample account are kept for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from exportimpact._typing import BoolArray, Common, Comparison, FloatArray, IntArray, Pool
from exportimpact.core.account import SampleAccount
from exportimpact.core.aggregation import CellIndex, Sizes
from exportimpact.core.cell import Cell
from exportimpact.core.cellset import NO_ERROR, THIN, CellSet, Counts, clusters_of
from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.protocols import DesignLike
from exportimpact.core.provenance import Provenance
from exportimpact.core.result import EstimationResult
from exportimpact.core.terms import Terms
from exportimpact.errors import CapabilityError, NotIdentifiedError
from exportimpact.language import Message, message
from exportimpact.numerics.influence import Block, Influence

_COMPARISONS: dict[str, Comparison] = {"all_untreated": "not_yet", "all_never": "never"}


@dataclass(eq=False)
class _Entry:
    """What is kept of a cell: at a million firms, its own arrays would fill the memory."""

    cohort: int
    period: int
    base: int
    event_time: int
    counts: tuple[int, int, int, int]
    supported: IntArray
    estimate: float
    rows: IntArray
    psi: FloatArray
    reach: IntArray
    mean: float
    mean_psi: FloatArray
    size: FloatArray | None
    observed: float


@dataclass(eq=False)
class _Stack:
    """Influence of a cohort's cells side by side, (n_rows, n_cells); who takes part if not all."""

    entries: list[_Entry]
    rows: IntArray
    values: FloatArray
    present: BoolArray | None


@dataclass(eq=False)
class CellBuilder:
    """Collects cells of one estimation and turns them into a result.

    Parameters
    ----------
    design : sealed design
    estimator : the estimator instance, for the record
    pool : comparison pool, when it is not the design's
    event_time : the only event time that is estimated, when it is one
    window : first and last event time that are estimated, when not all are
    orthogonal : whether estimates do not move, to first order, with the design's weights
    common : which cells' effects the method holds equal
    per_unit : whether estimates are per unit of support received, not effects on a firm
    counterfactual : whether the mean outcome less the estimate is what it would have been
    known_sizes : whether sizes of cells and cohorts are taken as they are in errors of aggregates
    whole : the design that was given, when `design` holds the firms whose effect it is and others
        of it take part as well: seal, sample account and notes are those of the whole
    strata : (n_firms,) codes from 0 of the groups that degrees of freedom are counted in; the
        design's cohorts when not given
    """

    design: DesignLike
    estimator: Any
    pool: Pool | None = None
    event_time: int | None = None
    window: tuple[int, int] | None = None
    orthogonal: bool = False
    common: Common = "none"
    per_unit: bool = False
    counterfactual: bool = True
    known_sizes: bool = False
    whole: DesignLike | None = None
    strata: IntArray | None = None
    _entries: list[_Entry] = field(default_factory=list)
    _failed: list[tuple[int, int, Message]] = field(default_factory=list)
    _exhibits: list[Exhibit] = field(default_factory=list)
    _notes: list[Message] = field(default_factory=list)
    _stacks: dict[int, _Stack] = field(default_factory=dict)

    def add(
        self,
        cell: Cell,
        *,
        estimate: float,
        influence: FloatArray,
        sampled: bool = False,
        apart: FloatArray | None = None,
        rows: IntArray | None = None,
        size: FloatArray | None = None,
    ) -> None:
        """Add an estimated cell.

        Parameters
        ----------
        cell : Cell
        estimate : float
        influence : (n_firms,)
            psi with estimate - truth about mean(psi), zero outside the cell. With `sampled`,
            (n_rows,) in the order of ``cell.rows`` with estimate - truth about sum(psi).
        sampled : bool
        apart : (n_rows,), optional
            With `sampled`: a further part of the influence, of something that was estimated without
            the cell's weights, so that it does not move with them. Where weights were estimated,
            the rest is taken to be w d(estimate)/dw.
        rows : (n_rows,) row indices, increasing, optional
            With `sampled`: the firms that take part where these are more than the cell's, as in a
            model of all untreated outcomes; `influence` is in their order.
        size : (n_supported,), optional
            How much each supported firm of the cell counts in averages over cells with
            ``weights="observed"``, beside its weight: doses, for effects per unit of support.
        """
        if self._entries and self._entries[-1].cohort != cell.cohort:
            self._stacked(self._entries[-1].cohort)
        n, reach = self.design.units.size, cell.rows if rows is None else rows
        self._check(cell, estimate, influence, reach, sampled=sampled)
        own = influence if sampled else influence[reach] / n
        fixed = self.orthogonal or rows is not None
        touched, psi = (reach, own) if fixed else self.design.propagated(cell, own)
        if apart is not None:
            touched, psi = _together(touched, psi, reach, apart)
        inside = cell.weights[: cell.supported.size]
        level = self.design.wide().level(cell)[: cell.supported.size]
        total = float(inside.sum())
        mean = float(inside @ level) / total
        mean_psi = n * inside * (level - mean) / total
        if not self.counterfactual:
            mean, mean_psi = np.nan, np.zeros_like(mean_psi)
        members = self.design.members(cell.cohort)
        sizes = self.design.member_weights(cell.cohort)[np.searchsorted(members, cell.supported)]
        reach = self._kept(reach)
        entry = _Entry(
            cohort=cell.cohort,
            period=cell.period,
            base=cell.base,
            event_time=cell.event_time,
            counts=self._sides(cell),
            supported=self._kept(cell.supported),
            estimate=float(estimate),
            rows=self._kept(touched),
            psi=psi * n,
            reach=reach,
            mean=mean,
            mean_psi=mean_psi,
            size=size,
            observed=float(sizes.sum() if size is None else sizes @ size),
        )
        self._entries.append(entry)
        self._mark_used(cell)

    def _kept(self, rows: IntArray) -> IntArray:
        """Return `rows`, as the array that is there already where the cell before has the same."""
        for entry in self._entries[-1:]:
            for known in (entry.reach, entry.rows, entry.supported):
                if np.array_equal(known, rows):
                    return known
        return rows

    def _sides(self, cell: Cell) -> tuple[int, int, int, int]:
        """Return supported and comparison firms, and their clusters."""
        codes = self.design.cluster_codes
        sides = (cell.supported, cell.comparison)
        firms, clusters = [s.size for s in sides], [clusters_of(codes, s) for s in sides]
        return firms[0], firms[1], clusters[0], clusters[1]

    def _mark_used(self, cell: Cell) -> None:
        if self.pool in _COMPARISONS:
            self._used[cell.period_index, cell.supported] = True
        else:
            rows = cell.rows
            self._used[cell.period_index][rows] = self._used[cell.base_index][rows] = True

    @cached_property
    def _used(self) -> BoolArray:
        """Observations that some cell uses, (n_periods, n_firms)."""
        used = np.zeros((self.design.calendar.ordinals.size, self.design.units.size), dtype=bool)
        if self.pool in _COMPARISONS:
            used |= self.design.history().untreated.T
        return used

    def _check(
        self, cell: Cell, estimate: float, influence: FloatArray, rows: IntArray, *, sampled: bool
    ) -> None:
        n = self.design.units.size
        expected = rows.size if sampled else n
        shaped = influence.shape == (expected,)
        finite = bool(np.isfinite(estimate) and np.isfinite(influence).all())
        inside_only = sampled or not shaped or not np.delete(influence, rows).any()
        if not (shaped and finite and inside_only):
            raise CapabilityError(
                "EI-E05",
                f"Cell ({cell.cohort}, {cell.period}) has the estimate {estimate} and an influence "
                f"function of shape {influence.shape}; needed are finite numbers, shape "
                f"({expected},), and zeros outside the cell. Errors and aggregates are computed "
                f"from it alone. Return one value for each of "
                f"{'cell.rows' if sampled else 'result.units'}.",
                shape=influence.shape,
            )

    def not_identified(self, cell: Cell, reason: Message) -> None:
        """Record that a cell could not be estimated, and why."""
        self._failed.append((cell.cohort, cell.period, reason))

    def show(self, exhibit: Exhibit) -> None:
        """Add an exhibit to the result."""
        self._exhibits.append(exhibit)

    def note(self, note: Message) -> None:
        """Add a note to the result."""
        self._notes.append(note)

    def result(self) -> EstimationResult:
        """Return the result.

        Raises
        ------
        NotIdentifiedError
            EI-E06 when no cell is left; the message lists the reasons.
        """
        lost = self._without_estimate()
        label = self.design.calendar.label
        failed = tuple((label(g), label(t), why) for g, t, why in lost)
        if not self._entries:
            raise _nothing_left(failed)
        self._entries.sort(key=lambda e: (e.cohort, e.period))
        outcome = self.design.outcome_spec
        terms, comparison = self._terms(), self.design.settings["comparison"]
        comparison = _COMPARISONS.get(self.pool or "", comparison)
        estimand = Estimand(
            outcome=outcome.name,
            scale=outcome.scale,
            unit=outcome.unit,
            cells=tuple((e.cohort, e.period) for e in self._entries),
            comparison=comparison,
            firms=terms.firms,
            kept=terms.kept,
            supported=terms.supported,
            lost=sum(period >= cohort for cohort, period, _ in lost),
            common=self.common,
            segment=_segment(self.design),
            reference="typical" if self.pool == "others" else "comparison",
            per_unit=self.per_unit,
        )
        cells, given = self._cellset(), self.whole or self.design
        return EstimationResult(
            provenance=Provenance.of(self.estimator, given),
            estimand=estimand,
            cells=cells,
            design=given,
            sample=self._account(),
            own_exhibits=tuple(self._exhibits),
            notes=(*given.facts, *self._notes, *_without_interval(cells)),
            not_identified=failed,
            labels={int(o): self.design.calendar.label(int(o)) for o in self._ordinals()},
        )

    def _terms(self) -> Terms:
        # All other firms are no matched firms: matching says nothing about step IV.
        return Terms() if self.pool == "others" else self.design.terms

    def _without_estimate(self) -> list[tuple[int, int, Message]]:
        found = [*self.design.not_identified(self.pool), *self._failed]
        low, high = self.window or (-np.inf, np.inf)
        wanted = [f for f in found if self.event_time in (None, f[1] - f[0])]
        return sorted((f for f in wanted if low <= f[1] - f[0] <= high), key=lambda f: f[:2])

    def _ordinals(self) -> IntArray:
        return np.union1d(
            self.design.calendar.ordinals, np.array(self.design.cohorts, dtype=np.int64)
        )

    def _cellset(self) -> CellSet:
        cells = self._entries
        cohorts = np.unique([c.cohort for c in cells])
        index = CellIndex(
            np.array([c.cohort for c in cells]),
            np.array([c.period for c in cells]),
            np.array([c.event_time for c in cells]),
        )
        n_cells, n_cohorts = len(cells), cohorts.size
        place = np.searchsorted(cohorts, index.cohort)
        n = self.design.units.size
        sizes = np.array([self.design.member_weights(int(g)).sum() / n for g in cohorts])
        blocks = [b for k in range(n_cohorts) for b in self._blocks(k, int(cohorts[k]), n_cells)]
        influence = Influence(n, 3 * n_cells + n_cohorts, tuple(blocks))
        strata = self.design.cohort_codes if self.strata is None else self.strata
        return CellSet(
            index=index,
            estimate=np.array([c.estimate for c in cells]),
            mean=np.array([c.mean for c in cells]),
            base=np.array([c.base for c in cells]),
            design_sizes=Sizes(sizes[place], 3 * n_cells + place),
            observed_sizes=Sizes(
                np.array([c.observed / n for c in cells]),
                2 * n_cells + np.arange(n_cells),
            ),
            counts=Counts(
                *(np.array(side) for side in zip(*(c.counts for c in cells), strict=True))
            ),
            moments=influence.moments(strata, self.design.cluster_codes),
            influence=influence,
            clustered=self.design.cluster_codes is not None,
            no_error=self._terms().no_error and not self.orthogonal,
            common=self.common,
        )

    def _blocks(self, k: int, cohort: int, n_cells: int) -> list[Block]:
        """Influence of one cohort's cells, supported means, observed sizes, and its own size."""
        stack = self._stacked(cohort)
        columns = np.flatnonzero([e.cohort == cohort for e in self._entries])
        members, weights = self.design.members(cohort), self.design.member_weights(cohort)
        inside = np.zeros((members.size, 2 * columns.size + 1))
        inside[:, -1] = weights
        counted = np.zeros(inside.shape, dtype=bool)
        counted[:, -1] = True
        for j, entry in enumerate(stack.entries):
            at = np.searchsorted(members, entry.supported)
            inside[at, j] = entry.mean_psi
            inside[at, columns.size + j] = weights[at] * (1.0 if entry.size is None else entry.size)
            counted[at, j] = counted[at, columns.size + j] = True
        if self.known_sizes:
            inside[:, columns.size :] = 0.0
        own = np.concatenate([n_cells + columns, 2 * n_cells + columns, [3 * n_cells + k]])
        effects = Block(stack.rows, columns, stack.values, stack.present)
        return [effects, Block(members, own, inside, counted)]

    def _stacked(self, cohort: int) -> _Stack:
        """Return the influence of a cohort's cells by period, stacked when its last one is in."""
        entries = [e for e in self._entries if e.cohort == cohort]
        entries.sort(key=lambda e: e.period)
        stack = self._stacks.get(cohort)
        if stack is None or stack.entries != entries:
            stack = self._stacks[cohort] = _stack(entries, self.design.units.size)
        return stack

    def _account(self) -> SampleAccount:
        account = (self.whole or self.design).account
        firms, firm_periods = account.remaining
        return account.drop(
            "estimate",
            message("account.in_no_cell"),
            firms=firms - int(self._used.any(axis=0).sum()),
            firm_periods=firm_periods - int(self._used.sum()),
        )


def _stack(entries: list[_Entry], n_firms: int) -> _Stack:
    """Move the influence of cells into one array, which holds it from there on."""
    rows, place = _union([e.rows for e in entries], n_firms)
    values = np.zeros((rows.size, len(entries)), order="F")
    present = np.zeros(values.shape, dtype=bool, order="F")
    reach = there = np.zeros(0, dtype=np.int64)
    for j, entry in enumerate(entries):
        if entry.reach is not reach:  # most cells of a cohort have the same firms
            reach, there = entry.reach, place[entry.reach]
        present[there, j] = True
        values[there if entry.rows is reach else place[entry.rows], j] = entry.psi
        entry.rows, entry.psi = rows, values[:, j]
    return _Stack(entries, rows, values, None if present.all() else present)


def _union(parts: list[IntArray], n_firms: int) -> tuple[IntArray, IntArray]:
    """Return the firms of all parts, increasing, and the place of each firm among them."""
    inside = np.zeros(n_firms, dtype=bool)
    for rows in parts:
        inside[rows] = True
    return np.flatnonzero(inside), np.cumsum(inside) - 1


def _together(
    rows: IntArray, psi: FloatArray, others: IntArray, more: FloatArray
) -> tuple[IntArray, FloatArray]:
    """Return the sum of two influences that are given on different rows."""
    union = np.union1d(rows, others)
    total = np.zeros(union.size)
    total[np.searchsorted(union, rows)] += psi
    total[np.searchsorted(union, others)] += more
    return union, total


def _segment(design: DesignLike) -> tuple[str, str] | None:
    only = design.settings.get("segment")
    return None if only is None else (str(only["column"]), str(only["label"]))


def _without_interval(cells: CellSet) -> tuple[Message, ...]:
    if cells.no_error:
        return (message("note.no_error", code=NO_ERROR),)
    return (message("note.thin", code=THIN),) if cells.thin.any() else ()


def _nothing_left(failed: tuple[tuple[int | str, int | str, Message], ...]) -> NotIdentifiedError:
    reasons = {str(reason): None for _, _, reason in failed}
    listed = " ".join(list(reasons)[:5]) or "The design has no cells."
    return NotIdentifiedError(
        "EI-E06",
        f"No cohort x period cell can be estimated, so that there is no effect to report. {listed} "
        "Widen the comparison pool, add periods before support, or drop covariates that separate "
        "supported from comparison firms.",
        reasons=tuple(reasons),
    )
