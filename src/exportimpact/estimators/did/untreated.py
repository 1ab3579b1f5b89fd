"""The model of untreated outcomes of a design: what is fitted, and who cannot be imputed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from exportimpact._typing import BoolArray, IntArray
from exportimpact.core.cell import Cell
from exportimpact.core.protocols import DesignLike
from exportimpact.errors import InputError
from exportimpact.language import Message, message
from exportimpact.numerics.two_way import TwoWay, two_way

MAX_COEFFICIENTS = 4_000


@dataclass(frozen=True, eq=False)
class UntreatedModel:
    """Firm and period effects fitted to all untreated observations of a design.

    Attributes
    ----------
    design : the sealed design
    fit : TwoWay
    untreated : (n_firms, n_periods) bool
        The observations that are fitted.
    known : (n_firms,) bool
        Whether the firm's category of `effects` is known; all of them without.
    effects : str or None
    """

    design: DesignLike
    fit: TwoWay
    untreated: BoolArray
    known: BoolArray
    effects: str | None

    @classmethod
    def of(cls, design: DesignLike, effects: str | None) -> UntreatedModel:
        """Fit the model.

        Raises
        ------
        InputError
            EI-E31 for more coefficients than fit into the memory.
        """
        history = design.history()
        groups = None if effects is None else history.groups(effects)
        known = np.ones(history.start.size, dtype=bool) if groups is None else groups >= 0
        n_groups = 1 if groups is None else int(groups.max(initial=0)) + 1
        periods = history.outcome.shape[1]
        m = (n_groups + len(history.names)) * periods
        if m > MAX_COEFFICIENTS:
            raise InputError(
                "EI-E31",
                f"{n_groups:,} categories of {effects!r} and {len(history.names)} covariates in "
                f"{periods} periods are {m:,} period effects, more than the {MAX_COEFFICIENTS:,} "
                "that are solved for at once; most of them would rest on a handful of firms. Use "
                "broader categories, or fewer covariates.",
                coefficients=m,
            )
        untreated = history.untreated & known[:, None]
        group = None if groups is None else np.maximum(groups, 0)
        X = history.covariates if history.names else None
        outcome = np.where(history.usable & known[:, None], history.outcome, np.nan)
        fit = two_way(outcome, untreated, history.weight, X, group)
        return cls(design, fit, untreated, known, effects)

    def is_touched(self, cell: Cell) -> bool:
        """Return whether support may have touched the cell's period."""
        start = self.design.history().start
        return bool(start[cell.supported[0]] <= cell.period_index)

    @property
    def clusters(self) -> IntArray | None:
        """Cluster of each firm, None where the firm is the cluster."""
        return self.design.cluster_codes

    @cached_property
    def informative(self) -> BoolArray:
        """Which firms say something about period effects: those untreated in two periods."""
        return np.asarray(self.untreated.sum(axis=1) >= 2, dtype=bool)

    def notes(self, dropped: int) -> Iterator[Message]:
        """Yield what a reader must know: who is in the model, and who cannot be imputed."""
        if self.design.settings["comparison"] == "never":
            yield message("note.all_untreated")
        history = self.design.history()
        unknown = int((~self.known & history.usable.any(axis=1)).sum())
        if unknown:
            yield message("note.effects_unknown", firms=unknown, column=str(self.effects))
        observed = history.usable.any(axis=1) & self.known & (self.design.cohort_codes > 0)
        lost = int((observed & ~self.untreated.any(axis=1)).sum())
        if lost:
            yield message("note.no_untreated_period", firms=lost)
        if dropped:
            yield message("note.not_connected", firm_periods=dropped)
