"""Which cells are identified, from which firms; the others get a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np

from exportimpact._typing import Base, BoolArray, FloatArray, IntArray, Pool
from exportimpact.core.cell import Cell
from exportimpact.data import NEVER, AlignedSupport, Panel
from exportimpact.design.matching.matched import CohortMatch
from exportimpact.design.sample import Sample
from exportimpact.design.wide import Wide
from exportimpact.language import Message, message

Unidentified: TypeAlias = tuple[int, int, Message]


@dataclass(frozen=True, eq=False)
class Identifier:
    """Walks over cohorts and periods and yields cells, or the reason why there is none."""

    panel: Panel
    support: AlignedSupport
    sample: Sample
    wide: Wide
    anticipation: int
    base: Base

    def cells(
        self, pool: Pool, matches: Mapping[int, CohortMatch] | None = None
    ) -> Iterator[Cell | Unidentified]:
        """Yield every cohort x period cell but the reference periods.

        Parameters
        ----------
        pool : {"never", "not_yet", "rejected", "others"}
        matches : mapping of cohort to CohortMatch, optional
            Who stands for whom; a cohort without a match has no cells.
        """
        for cohort in self.sample.cohorts:
            match = None if matches is None else matches.get(int(cohort))
            if matches is None or match is not None:
                yield from self._of_cohort(int(cohort), pool, match)
            else:
                yield from self._unmatched(int(cohort))

    def at_risk(self, cohort: int, pool: Pool, through: int) -> BoolArray:
        """Return the firms of the pool that stay unsupported through a period, (n_firms,)."""
        latest = max(through, self.last_before(cohort))
        others = self.sample.first != cohort
        return np.asarray(self._pool(pool, cohort, latest) & others, dtype=bool)

    def member_weights(self, cohort: int, members: IntArray) -> FloatArray:
        """Return the weights of `members` at the cohort's base period, 1 without a weight."""
        base = self.panel.calendar.index(self.last_before(cohort))
        if self.panel.weight is None or base is None:
            return np.ones(members.size)
        weight = self.panel.weight[members, base]
        return np.where(np.isfinite(weight), weight, 0.0)

    def last_before(self, cohort: int) -> int:
        """Return the ordinal of the cohort's base period."""
        return cohort - self.panel.calendar.step * (1 + self.anticipation)

    def observed_at(self, base: int) -> BoolArray:
        """Return which firms are alive and report the outcome in a period, (n_firms,)."""
        alive = ~(self.panel.exit_ordinal < self.panel.calendar.ordinals[base])
        seen = np.isfinite(self.wide.outcome[:, base]) & alive & self.sample.inside
        if self.panel.weight is not None:
            seen &= np.isfinite(self.panel.weight[:, base])
        return np.asarray(seen, dtype=bool)

    def _unmatched(self, cohort: int) -> Iterator[Unidentified]:
        label = self.panel.calendar.label
        lead = self.last_before(cohort)
        for ordinal in self.panel.calendar.ordinals:
            if int(ordinal) != lead:
                yield cohort, int(ordinal), message("cell.not_matched", cohort=label(cohort))

    def _of_cohort(
        self, cohort: int, pool: Pool, match: CohortMatch | None
    ) -> Iterator[Cell | Unidentified]:
        calendar = self.panel.calendar
        lead = self.last_before(cohort)
        own, others = self.sample.of_cohort(cohort), self.sample.first != cohort
        for t, ordinal in enumerate(calendar.ordinals):
            period = int(ordinal)
            before = period <= lead
            base = period - calendar.step if self.base == "varying" and before else lead
            if period == base or (before and self.base == "varying" and t == 0):
                continue
            b = calendar.index(base)
            if b is None:
                label = calendar.label(base)
                yield cohort, period, message("cell.no_base", base=label)
                continue
            comparison = self._pool(pool, cohort, max(period, base)) & others
            cell = self._cell(cohort, period, base, (t, b), own, comparison)
            yield cell if match is None or not isinstance(cell, Cell) else self._within(cell, match)

    def _within(self, cell: Cell, match: CohortMatch) -> Cell | Unidentified:
        """Return the cell among matched firms, or that none of them are observed together."""
        seen = np.zeros((2, self.panel.n_firms), dtype=bool)
        seen[0, cell.supported] = seen[1, cell.comparison] = True
        found = match.among(seen[0], seen[1])
        if found is None:
            label = self.panel.calendar.label
            reason = message("cell.no_match", base=label(cell.base), period=label(cell.period))
            return cell.cohort, cell.period, reason
        supported, comparison, weights = found
        return replace(
            cell,
            supported=supported,
            comparison=comparison,
            weights=weights / weights.mean(),
            matched=True,
        )

    def _cell(
        self,
        cohort: int,
        period: int,
        base: int,
        columns: tuple[int, int],
        own: BoolArray,
        comparison: BoolArray,
    ) -> Cell | Unidentified:
        t, b = columns
        observed = self._observed(t, b)
        supported, compared = np.flatnonzero(own & observed), np.flatnonzero(comparison & observed)
        label = self.panel.calendar.label
        if not supported.size:
            reason = message("cell.no_supported", base=label(base), period=label(period))
            return cohort, period, reason
        if not comparison.any():
            return cohort, period, message("cell.no_pool", period=label(max(period, base)))
        if not compared.size:
            reason = message("cell.no_comparison", base=label(base), period=label(period))
            return cohort, period, reason
        weights = np.ones(supported.size + compared.size)
        if self.panel.weight is not None:
            weights = self.panel.weight[np.concatenate([supported, compared]), b]
            weights = weights / weights.mean()
        return Cell(
            cohort=cohort,
            period=period,
            base=base,
            event_time=period - cohort,
            period_index=t,
            base_index=b,
            supported=supported,
            comparison=compared,
            weights=weights,
        )

    def _observed(self, t: int, b: int) -> BoolArray:
        """Observed at both ends, alive and with covariates at the base period."""
        if b not in self._ready:
            known = True if self.wide.builder is None else self.wide.known(b)
            self._ready[b] = self.observed_at(b) & known
        return np.asarray(self._ready[b] & np.isfinite(self.wide.outcome[:, t]), dtype=bool)

    @cached_property
    def _ready(self) -> dict[int, BoolArray]:
        return {}

    def _pool(self, pool: Pool, cohort: int, latest: int) -> BoolArray:
        base = self.panel.calendar.index(self.last_before(cohort))
        alike = self.sample.in_segment(0 if base is None else base)
        return self._of_pool(pool, cohort, latest) & alike

    def _of_pool(self, pool: Pool, cohort: int, latest: int) -> BoolArray:
        sample, reach = self.sample, self.anticipation * self.panel.calendar.step
        if pool == "never":
            # A firm first supported soon after the panel may react in its last periods already.
            return sample.in_never_pool & (sample.first > latest + reach)
        if pool == "others":
            return sample.inside
        if pool == "not_yet":
            return self._waiting(latest + reach)
        return self._rejected(cohort) & self._waiting(latest + reach)

    def _waiting(self, until: int) -> BoolArray:
        """Return the firms that are not supported by `until`, nor by other programmes."""
        sample = self.sample
        waiting: BoolArray = sample.inside & (sample.first > until) & ~sample.outside_comparison
        return waiting

    def _rejected(self, cohort: int) -> BoolArray:
        rejected = self.support.rejected or {}
        rounds = np.unique(self.support.rounds[self.sample.first == cohort])
        flag = np.zeros(self.panel.n_firms, dtype=bool)
        for ordinal in rounds[rounds != NEVER]:
            flag[rejected.get(int(ordinal), np.zeros(0, dtype=np.int64))] = True
        return flag
