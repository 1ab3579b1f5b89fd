"""What saturated models share: the observations without support, and the cells of a fitted model.

Support dummies for every cohort x period cell, interacted with the covariates, fit these cells
without residual mean. What is left to estimate is the model of outcomes without support, on the
observations that no dummy takes up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

import numpy as np
import pandas as pd

from exportimpact._typing import BoolArray, FixedEffects, FloatArray, IntArray, Pool, Scale
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.protocols import DesignLike
from exportimpact.core.summary import Summary
from exportimpact.errors import InputError, did_you_mean
from exportimpact.language import Message, message
from exportimpact.numerics.saturated import Effect, Fit, Reference

LEADS = "without leads there is no cell before support to look at; with leads=True they are tested"
"""Why the models say nothing of what they assume."""


def check_effects(effects: str) -> None:
    """Refuse effects that the models do not know.

    Raises
    ------
    InputError
        EI-E37
    """
    if effects not in get_args(FixedEffects):
        raise InputError(
            "EI-E37",
            f"effects={effects!r} is unknown; it decides what is compared within: cohorts or "
            f"firms. {did_you_mean(str(effects), get_args(FixedEffects))}",
            effects=effects,
        )


@dataclass(frozen=True, eq=False)
class Saturation:
    """The observations and cells of a saturated model on a design.

    Attributes
    ----------
    design : sealed design
    leads : bool
        Whether cells before support have effects as well, so that never supported firms and each
        cohort's base period are all that the model of outcomes without support is fitted to.
    firm_effects : bool
    """

    design: DesignLike
    leads: bool
    firm_effects: bool

    @property
    def pool(self) -> Pool:
        """The builder's pool."""
        return "all_never" if self.leads else "all_untreated"

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Cells with an effect: those that support may have touched, with leads all of them."""
        return tuple(c for c in self.design.cells(self.pool) if self.leads or c.period > c.base)

    @cached_property
    def used(self) -> BoolArray:
        """Observations that the model is fitted to, (n_firms, n_periods)."""
        history = self.design.history()
        untreated: BoolArray = history.untreated
        if not self.leads:
            return untreated
        never = np.zeros(untreated.shape[0], dtype=bool)
        for cell in self.cells:
            never[cell.comparison] = True
        own = (self.design.cohort_codes > 0)[:, None]
        base = np.arange(untreated.shape[1]) == history.start[:, None] - 1
        inside: BoolArray = untreated & (never[:, None] | (own & base))
        return inside

    def reference(self, outcome: FloatArray, *, kept: BoolArray | None = None) -> Reference:
        """Return the observations that the model is fitted to.

        Parameters
        ----------
        outcome : (n_firms, n_periods)
        kept : (n_firms,) bool, optional
            Firms that take part; all without.
        """
        history = self.design.history()
        used = self.used if kept is None else self.used & kept[:, None]
        return Reference.of(
            outcome,
            used,
            history.weight,
            self.design.cohort_codes,
            history.covariates,
            firm_effects=self.firm_effects,
        )

    def add(
        self,
        cells: CellBuilder,
        fit: Fit,
        outcome: FloatArray,
    ) -> None:
        """Add the cells of a fitted model.

        Parameters
        ----------
        cells : CellBuilder
        fit : Fit
        outcome : (n_firms, n_periods)
        """
        found, failed = self.effects(fit, outcome)
        for cell, reason in failed:
            cells.not_identified(cell, reason)
        if found:
            self._add(cells, fit, found)

    def effects(
        self, fit: Fit, outcome: FloatArray, *, kept: BoolArray | None = None
    ) -> tuple[list[tuple[Cell, Effect]], list[tuple[Cell, Message]]]:
        """Return the cells of a fitted model with their effects, and those without, with why."""
        weight, codes = self.design.history().weight, self.design.cohort_codes
        found: list[tuple[Cell, Effect]] = []
        failed: list[tuple[Cell, Message]] = []
        for whole in self.cells:
            cell = self._within(whole, kept)
            rows, t = cell.supported, cell.period_index
            if not rows.size:
                reason = message("cell.no_own_level", firms=int(whole.supported.size))
                failed.append((whole, reason))
                continue
            group = int(codes[rows[0]])
            effect = fit.effect(group, t, rows, weight[rows], outcome[rows, t])
            if effect.unknown:
                counts = {"unknown": effect.unknown, "firms": int(rows.size)}
                failed.append((cell, message("cell.no_counterfactual", **counts)))
            else:
                found.append((cell, effect))
        return found, failed

    def overall(
        self, fit: Fit, outcome: FloatArray, scale: Scale, *, kept: BoolArray | None = None
    ) -> pd.Series | None:
        """Return the overall ("simple") effect of a fitted model, None where nothing is identified.

        Parameters
        ----------
        fit : Fit
        outcome : (n_firms, n_periods)
        scale : str
        kept : (n_firms,) bool, optional

        Returns
        -------
        Series
            As `Summary.row`.
        """
        found, _ = self.effects(fit, outcome, kept=kept)
        after = [(cell, effect) for cell, effect in found if cell.event_time >= 0]
        if not after:
            return None
        summary = Summary(self.design, [cell for cell, _ in after])
        gradient = summary.weights @ np.stack([effect.gradient for _, effect in after])
        psi = fit.influence(gradient[:, None])[:, 0]
        for share, (cell, effect) in zip(summary.weights, after, strict=True):
            psi[cell.supported] += share * effect.direct
        return summary.row(np.array([effect.estimate for _, effect in after]), psi, scale)

    def tell(self, cells: CellBuilder) -> None:
        """Note whom supported firms were compared with, and who has no level of its own."""
        comparison = self.design.settings["comparison"]
        wanted = "never" if self.leads else "not_yet"
        if comparison != wanted:
            cells.note(message(f"note.compared_with_{wanted}", comparison=comparison))
        lost = self._without_level()
        if lost:
            cells.note(message("note.no_own_level", firms=lost))

    def _without_level(self) -> int:
        """Return how many supported firms of some cell have no observation that gives a level."""
        if not self.firm_effects:
            return 0
        inside = np.zeros(self.used.shape[0], dtype=bool)
        for cell in self.cells:
            inside[cell.supported] = True
        return int((inside & ~self.used.any(axis=1)).sum())

    def _add(self, cells: CellBuilder, fit: Fit, found: list[tuple[Cell, Effect]]) -> None:
        psi = fit.influence(np.column_stack([effect.gradient for _, effect in found]))
        for c, (cell, effect) in enumerate(found):
            psi[cell.supported, c] += effect.direct
        everyone = np.asarray(fit.reference.used.any(axis=1), dtype=bool)
        for cell, _ in found:
            everyone[cell.supported] = True
        reach, cohort = np.flatnonzero(everyone), -1
        for c, (cell, effect) in enumerate(found):
            if self.leads and cell.cohort != cohort:
                reach, cohort = self._reach(everyone, cell.cohort), cell.cohort
            column = psi[:, c] if reach.size == everyone.size else psi[reach, c]
            cells.add(cell, estimate=effect.estimate, influence=column, sampled=True, rows=reach)

    def _reach(self, everyone: BoolArray, cohort: int) -> IntArray:
        """Return who takes part with leads: never supported firms and the cohort's own."""
        inside = everyone & (self.design.cohort_codes == 0)
        inside[self.design.members(cohort)] = everyone[self.design.members(cohort)]
        return np.flatnonzero(inside)

    def _within(self, cell: Cell, kept: BoolArray | None) -> Cell:
        """Return the cell with the supported firms that have what the model needs."""
        n = cell.supported.size
        stay = np.ones(n, dtype=bool) if kept is None else kept[cell.supported]
        if self.firm_effects:
            stay = stay & self.used[cell.supported].any(axis=1)
        m = cell.comparison.size
        others = np.ones(m, dtype=bool) if kept is None else kept[cell.comparison]
        return cell.among(np.concatenate([stay, others]))
