"""What estimators and diagnostics may see of a design, read-only.

The classes themselves live in `exportimpact.design`; the vocabulary here does not know them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from exportimpact._typing import AnyArray, BoolArray, Dose, FloatArray, IntArray, Pool
from exportimpact.core.account import SampleAccount
from exportimpact.core.cell import Cell
from exportimpact.core.outcome import Outcome
from exportimpact.core.terms import Terms
from exportimpact.language import Message


class CalendarLike(Protocol):
    """The panel's calendar: ordinals and their labels."""

    @property
    def step(self) -> int:
        """Distance between two periods, in ordinals."""
        ...

    @property
    def ordinals(self) -> IntArray:
        """The complete grid of periods, (n_periods,)."""
        ...

    def label(self, ordinal: int) -> int | str:
        """Return what a reader calls the period."""
        ...


class WideLike(Protocol):
    """The outcome and the covariates of a design as arrays, firms x periods."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `covariates`."""
        ...

    def change(self, cell: Cell) -> FloatArray:
        """Return the change since the base period of the cell's rows, (n_rows,)."""
        ...

    def level(self, cell: Cell) -> FloatArray:
        """Return the outcome in the cell's period, (n_rows,)."""
        ...

    def covariates(self, cell: Cell) -> FloatArray:
        """Return a constant and the covariates at the base period, (n_rows, 1 + k)."""
        ...

    def past(self, cell: Cell, base_index: int, lags: int) -> FloatArray:
        """Return the outcome at a base period and before, latest first, (n_rows, lags)."""
        ...


class HistoryLike(Protocol):
    """Every observation of a design, told apart by whether support may have touched it."""

    @property
    def outcome(self) -> FloatArray:
        """The outcome, (n_firms, n_periods), NaN outside the sample."""
        ...

    @property
    def start(self) -> IntArray:
        """Index of the first period that support may have touched, n_periods if none."""
        ...

    @property
    def usable(self) -> BoolArray:
        """Which observations can enter a model, (n_firms, n_periods)."""
        ...

    @property
    def untreated(self) -> BoolArray:
        """Which usable observations support cannot have touched, (n_firms, n_periods)."""
        ...

    @property
    def weight(self) -> FloatArray:
        """Probability weight of each firm, (n_firms,)."""
        ...

    @property
    def covariates(self) -> FloatArray:
        """Covariates of each firm without a constant, read once, (n_firms, k)."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns of `covariates`."""
        ...

    def groups(self, column: str) -> IntArray:
        """Return each firm's category of a baseline column, -1 if unknown, (n_firms,)."""
        ...

    def column(self, name: str) -> FloatArray:
        """Return a baseline column as it is in every period, (n_firms, n_periods)."""
        ...


@runtime_checkable
class DesignLike(Protocol):
    """A design: sample, comparison, periods; no estimate."""

    @property
    def outcome_spec(self) -> Outcome:
        """The one outcome of the design."""
        ...

    @property
    def units(self) -> AnyArray:
        """Firm ids in the order of rows, (n_firms,)."""
        ...

    @property
    def calendar(self) -> CalendarLike:
        """The panel's calendar."""
        ...

    @property
    def cohorts(self) -> tuple[int, ...]:
        """Ordinals at which firms are first supported."""
        ...

    @property
    def cohort_codes(self) -> IntArray:
        """Stratum of each firm, (n_firms,): 0 never supported, then cohorts in order."""
        ...

    @property
    def cluster_codes(self) -> IntArray | None:
        """Cluster of each firm, (n_firms,), or None when the firm is the cluster."""
        ...

    @property
    def settings(self) -> Mapping[str, Any]:
        """The design's options, for the seal and the manifest."""
        ...

    @property
    def account(self) -> SampleAccount:
        """What left the sample before any cell."""
        ...

    @property
    def assumes(self) -> tuple[str, ...]:
        """Assumptions that any effect estimated on the design rests on, whatever the method."""
        ...

    @property
    def facts(self) -> tuple[Message, ...]:
        """What a reader of any result from this design must know."""
        ...

    @property
    def terms(self) -> Terms:
        """What matching does to every result from it."""
        ...

    def propagated(self, cell: Cell, psi: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return rows and influence of a cell, with the influence of estimated weights."""
        ...

    def not_identified(self, pool: Pool | None = None) -> tuple[tuple[int, int, Message], ...]:
        """Return the cells (cohort, period) that cannot be estimated, with the reason."""
        ...

    def cells(self, pool: Pool | None = None) -> Iterator[Cell]:
        """Yield the identified cells."""
        ...

    def wide(self) -> WideLike:
        """Return the arrays that estimators work on."""
        ...

    def history(self) -> HistoryLike:
        """Return every observation, told apart by whether support may have touched it."""
        ...

    def treatment(self, dose: Dose | None = None) -> FloatArray:
        """Return how much support each firm had in each period, (n_firms, n_periods)."""
        ...

    def members(self, cohort: int) -> IntArray:
        """Return the rows of the cohort's firms in the design, increasing."""
        ...

    def member_weights(self, cohort: int) -> FloatArray:
        """Return the weights of the cohort's firms at its base period, as given in the panel."""
        ...

    def within(self, column: str, category: str | float | None = None) -> DesignLike:
        """Return the design among the firms of one category of a baseline column."""
        ...

    def seal(self, *, exploratory: bool = False) -> SealedLike:
        """Return the design with its hash."""
        ...


@runtime_checkable
class SealedLike(DesignLike, Protocol):
    """A design that was sealed before any outcome after support was looked at."""

    @property
    def hash(self) -> str:
        """SHA-256 of settings and pre-support data."""
        ...

    @property
    def exploratory(self) -> bool:
        """Whether the seal was set by the package because the user had not sealed."""
        ...
