"""Effects before support, from a regression of their own on the untreated observations.

Firm and period effects and dummies for the last periods before support are fitted together, so that
what is found is relative to older periods, and choosing not to look at it costs the effects after
support nothing (Borusyak, Jaravel & Spiess 2024, doi:10.1093/restud/rdae007, section 4.4).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.aggregation import CellIndex, Sizes, identity
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.cellset import CellSet, Counts, clusters_of
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.protocols import DesignLike
from exportimpact.core.wald import pretrend_test
from exportimpact.estimators.did.untreated import UntreatedModel
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import t_quantile, t_two_sided
from exportimpact.numerics.influence import Block, Influence
from exportimpact.numerics.two_way import Dummies, with_dummies


@dataclass(frozen=True, eq=False)
class _Lead:
    """One cohort in one period before support; `capped` leads serve the pooled regression only."""

    cohort: int
    period_index: int
    event_time: int
    rows: IntArray
    capped: bool


@dataclass(frozen=True, eq=False)
class Leads:
    """The periods before support whose effects are estimated.

    Attributes
    ----------
    model : UntreatedModel
    asked : int
        Periods before support that were asked for.
    cells : tuple of _Lead
    short : tuple of cohorts that have fewer leads than were asked for
    """

    model: UntreatedModel
    asked: int
    cells: tuple[_Lead, ...] = ()
    short: tuple[int, ...] = field(default=())

    @classmethod
    def of(cls, design: DesignLike, model: UntreatedModel, leads: int) -> Leads:
        """Return the leads of every cohort: one fewer, at most, than its untreated periods."""
        if not leads:
            return cls(model, leads)
        seen = model.untreated & model.informative[:, None]
        cells, short = [], []
        for cohort in design.cohorts:
            own = design.members(cohort)
            start = int(design.history().start[own[0]])
            there = np.flatnonzero(seen[own, :start].any(axis=0))
            within = there[there >= start - leads]
            spare = bool(there.size > within.size)
            if within.size - (not spare) < leads:
                short.append(cohort)
            for t in within:
                cells.append(
                    _Lead(
                        cohort,
                        int(t),
                        int(design.calendar.ordinals[t]) - cohort,
                        own[seen[own, t]],
                        capped=not spare and t == there[0],
                    )
                )
        return cls(model, leads, tuple(cells), tuple(short))

    def notes(self) -> Iterator[Message]:
        """Yield what the leads are held against, and which cohorts have fewer."""
        label = self.model.design.calendar.label
        if self.cells:
            yield message("note.leads", leads=self.asked)
        if self.short:
            named = ", ".join(str(label(g)) for g in self.short)
            yield message("note.leads_capped", cohorts=named, leads=self.asked)

    def add_to(self, builder: CellBuilder) -> None:
        """Add the cohorts' leads as cells, and the pooled ones as an exhibit."""
        chosen = [lead for lead in self.cells if not lead.capped]
        if not chosen:
            return
        cells = [self._cell(lead) for lead in chosen]
        compared = [at for at, cell in enumerate(cells) if cell.comparison.size]
        found = self._fitted([chosen[at] for at in compared], np.eye(len(compared)))
        for place, at in enumerate(compared):
            self._add(builder, cells[at], found, place)
        for at in set(range(len(cells))) - set(compared):
            # Other periods without a comparison are reported by the design.
            if cells[at].period == cells[at].base:
                period = self.model.design.calendar.label(cells[at].period)
                builder.not_identified(cells[at], message("cell.no_pool", period=period))
        oldest = min(lead.event_time for lead in chosen)
        builder.show(self._pooled([c for c in self.cells if c.event_time >= oldest]))

    def _add(self, builder: CellBuilder, cell: Cell, found: Dummies, at: int) -> None:
        estimate = float(found.coefficients[at])
        if np.isnan(estimate):
            builder.not_identified(cell, message("cell.lead_collinear"))
            return
        rows = np.flatnonzero(self.model.informative)
        psi = found.influence[rows, at]
        builder.add(cell, estimate=estimate, influence=psi, sampled=True, rows=rows)

    def _fitted(self, leads: list[_Lead], columns: FloatArray) -> Dummies:
        cells = [(lead.cohort, lead.rows, lead.period_index) for lead in leads]
        return with_dummies(self.model.fit, cells, columns)

    def _cell(self, lead: _Lead) -> Cell:
        design, t = self.model.design, lead.period_index
        untreated = self.model.untreated[:, t]
        comparison = np.flatnonzero(_without(untreated, design.members(lead.cohort)))
        weights = self.model.design.history().weight[np.concatenate([lead.rows, comparison])]
        base = lead.cohort - design.calendar.step * (1 + int(design.settings["anticipation"]))
        at = np.flatnonzero(design.calendar.ordinals == base)
        return Cell(
            cohort=lead.cohort,
            period=int(design.calendar.ordinals[t]),
            base=base,
            event_time=lead.event_time,
            period_index=t,
            base_index=int(at[0]) if at.size else t,
            supported=lead.rows,
            comparison=comparison,
            weights=weights / weights.mean(),
        )

    def _pooled(self, leads: list[_Lead]) -> Exhibit:
        """Return the leads by event time over all cohorts, with their joint test."""
        times = np.unique([lead.event_time for lead in leads])
        own = np.array([[lead.event_time == e for e in times] for lead in leads], dtype=float)
        found = self._fitted(leads, own)
        kept = np.flatnonzero(np.isfinite(found.coefficients))
        supported = [
            np.sort(np.concatenate([c.rows for c in leads if c.event_time == times[at]]))
            for at in kept
        ]
        cells = self._cellset(found, kept, times[kept], supported)
        rows = identity(cells.index)
        errors = cells.errors(cells.gradient(rows), rows)
        half = t_quantile(0.975, errors.df) * errors.std_error
        with np.errstate(divide="ignore", invalid="ignore"):
            p_value = t_two_sided(cells.estimate / errors.std_error, errors.df)
        table = pd.DataFrame(
            {
                "event_time": times[kept],
                "estimate": cells.estimate,
                "std_error": errors.std_error,
                "ci_low": cells.estimate - half,
                "ci_high": cells.estimate + half,
                "p_value": p_value,
                "n_supported": cells.counts.supported,
            }
        )
        outcome = self.model.design.outcome_spec
        units = {"estimate": outcome.unit or outcome.scale, "event_time": "periods since support"}
        return Exhibit("pretrends", "pretrends", table, units, (_joint(cells, self.model.design),))

    def _cellset(
        self, found: Dummies, kept: IntArray, times: IntArray, supported: list[IntArray]
    ) -> CellSet:
        """Return the pooled leads as cells, so that errors and test are those of all cells."""
        design, n = self.model.design, self.model.untreated.shape[0]
        rows, columns = np.flatnonzero(self.model.informative), np.arange(kept.size)
        block = Block(rows, columns, n * found.influence[np.ix_(rows, kept)])
        others = [np.flatnonzero(_without(self.model.informative, own)) for own in supported]
        sizes = Sizes(np.ones(kept.size), columns)
        codes = design.cluster_codes
        return CellSet(
            index=CellIndex(np.zeros_like(times), times, times),
            estimate=found.coefficients[kept],
            mean=np.full(kept.size, np.nan),
            base=times,
            design_sizes=sizes,
            observed_sizes=sizes,
            counts=Counts(
                supported=np.array([own.size for own in supported]),
                comparison=np.array([own.size for own in others]),
                supported_clusters=np.array([clusters_of(codes, own) for own in supported]),
                comparison_clusters=np.array([clusters_of(codes, own) for own in others]),
            ),
            moments=Influence(n, kept.size, (block,)).moments(design.cohort_codes, codes),
            influence=None,
            clustered=codes is not None,
        )


def _without(flag: BoolArray, rows: IntArray) -> BoolArray:
    """Return `flag`, (n_firms,), lowered at `rows`."""
    left = flag.copy()
    left[rows] = False
    return left


def _joint(cells: CellSet, design: DesignLike) -> Message:
    test = pretrend_test(cells, int(design.settings["anticipation"]) * design.calendar.step)
    if test.p_value is None or test.statistic is None or test.wald is None:
        return message("exhibit.no_joint_test", why=test.reason or message("test.no_errors"))
    return message(
        "exhibit.joint_test",
        cells=test.df_numerator,
        wald=test.wald,
        statistic=test.statistic,
        df=test.df_denominator,
        p=test.p_value,
    )
