"""The two-way fixed effects regression: one number for the whole panel, for contrast only.

    Y = firm effect + period effect + beta x supported + error

It is right when support does the same for every firm in every period. Where support starts at
different times and effects differ, beta is a mean of them with weights that the regression chooses:
firms that are supported already serve as comparison firms, and effects of late periods may count
negatively. The exhibits show the weights.

The coefficients come from linearmodels; firms that share cohort and observed periods enter as one
weighted row, which leaves every coefficient as it is. Controls, which differ from firm to firm, are
partialled out first (Frisch, Waugh & Lovell). Influence functions are computed here.

References
----------
Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014; de Chaisemartin & D'Haultfoeuille (2020),
doi:10.1257/aer.20181169; Sun & Abraham (2021), doi:10.1016/j.jeconom.2020.09.006
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from exportimpact._typing import BoolArray, Common, FloatArray, IntArray
from exportimpact.core.builder import CellBuilder
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike, HistoryLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import InputError, NotIdentifiedError
from exportimpact.estimators.did.two_way_exhibits import decomposed
from exportimpact.language import message
from exportimpact.numerics import two_way_groups
from exportimpact.numerics.cluster_robust import Clustered
from exportimpact.numerics.two_way_groups import Groups

_BLIND = (
    "one coefficient says nothing about the time before support, and leads of this regression are "
    "mixed up with effects at other times (Sun & Abraham 2021)"
)


@estimator(
    id="two_way_fixed_effects",
    title="Two-way fixed effects regression",
    reference="Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014; de Chaisemartin & "
    "D'Haultfoeuille (2020), doi:10.1257/aer.20181169",
    step="V-b",
    requires={"parallel_trends", "no_anticipation", "homogeneous_effects"},
    blind_to={
        "parallel_trends": _BLIND,
        "no_anticipation": _BLIND,
        "homogeneous_effects": "differences between effects that are small beside their errors "
        "show in no test, and those among the firms of a cohort in none between cohorts",
        "same_measurement": "reports that support inflates look like an effect",
    },
    accepts={"weights", "not_yet"},
)
@dataclass(frozen=True, kw_only=True)
class TwoWayFixedEffects:
    """One effect for all firms and periods, or one for each time since first support.

    Parameters
    ----------
    dynamic : bool
        Whether to estimate leads and lags of support (the event-study regression) instead of one
        coefficient. The last period before support (and anticipation) is the reference; no lead or
        lag is pooled with others.
    controls : tuple of str
        Baseline columns of the panel that enter with their value in every period. What support
        moves must not be among them: it would take part of the effect away.

    Notes
    -----
    Requires parallel trends, no anticipation and effects that are the same for every firm in every
    period (with `dynamic`, for every cohort at the same time since support). All firms of the
    design take part in all their periods, whatever its comparison; firm-periods in an anticipation
    window are left out of the static regression. Covariates of the design do not vary within a
    comparison and are not used. Exhibits: ``"bacon"`` (balanced panels without controls),
    ``"twfe_weights"``, ``"twfe_sensitivity"``.

    References
    ----------
    Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014; de Chaisemartin & D'Haultfoeuille
    (2020), doi:10.1257/aer.20181169

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> result = TwoWayFixedEffects().estimate(design)
    >>> [exhibit.id for exhibit in result.exhibits]
    ['twfe_weights', 'twfe_sensitivity', 'bacon']
    """

    spec: ClassVar[EstimatorSpec]
    dynamic: bool = False
    controls: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        given: object = self.controls
        if isinstance(given, str):
            raise InputError(
                "EI-E42",
                f"controls={self.controls!r} is one text; its letters would be read as columns. "
                f"Write controls=({self.controls!r},).",
                controls=self.controls,
            )
        object.__setattr__(self, "controls", tuple(self.controls))

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return the coefficient as the effect of every cell that it stands for.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult
            All cells since support have the same effect; with `dynamic`, all cells of the same time
            since first support, before support as well.

        Raises
        ------
        NotIdentifiedError
            EI-E40 when the regressors are linearly dependent, EI-E41 when leads and lags need never
            supported firms and there are none, EI-E06 when no cell is left.
        InputError
            EI-E42 for a control that is a category or never changes.
        """
        data = _Data.of(design, self)
        common: Common = "event_time" if self.dynamic else "all"
        cells = CellBuilder(design, self, pool="all_untreated", common=common)
        coefficients, bread = _fit(data, self)
        moves = two_way_groups.leverage(data.groups, bread)
        psi = two_way_groups.influence(data.groups, moves, coefficients, data.outcome, data.weight)
        rows = np.flatnonzero(data.groups.code >= 0)
        for cell in design.cells("all_untreated"):
            place = data.place(cell.event_time)
            if place is not None:
                effect = float(coefficients[place])
                own = psi[rows, place]
                cells.add(cell, estimate=effect, influence=own, sampled=True, rows=rows)
        if not self.dynamic:
            parts = (data.groups, moves[:, :, 0], data.start, float(coefficients[0]))
            shown, notes = decomposed(design, *parts)
            for exhibit in shown:
                cells.show(exhibit)
            for note in notes:
                cells.note(note)
        cells.note(message("note.twfe_sample"))
        if data.without_control:
            cells.note(message("note.control_missing", firm_periods=data.without_control))
        if design.settings["covariates"]:
            cells.note(message("note.covariates_unused", estimator=self.spec.title))
        return cells.result()


def event_study(design: DesignLike, *, controls: tuple[str, ...] = ()) -> EstimationResult:
    """Return the leads and lags of the two-way fixed effects event-study regression.

    Short for ``TwoWayFixedEffects(dynamic=True, controls=controls).estimate(design)``, for contrast
    with estimators that compare with firms not yet supported only.

    Parameters
    ----------
    design : Design or SealedDesign
    controls : tuple of str
        As in `TwoWayFixedEffects`.

    Returns
    -------
    EstimationResult
        ``result.aggregate("event_time")`` has one row for each lead and lag.

    References
    ----------
    Sun & Abraham (2021), doi:10.1016/j.jeconom.2020.09.006
    """
    return TwoWayFixedEffects(dynamic=True, controls=controls).estimate(design)


def clustered_fit(
    design: DesignLike, parameters: Mapping[str, Any], clusters: IntArray
) -> tuple[Clustered, Callable[[int], int | None]]:
    """Return the regression as sums within clusters, and the coefficient of each event time.

    Parameters
    ----------
    design : Design or SealedDesign
    parameters : mapping
        Of the estimator, as its result's provenance has them.
    clusters : (n_firms,)
        Cluster of each firm, which lies in it whole: firm effects are swept out.
    """
    data = _Data.of(design, TwoWayFixedEffects(**parameters))
    sums = two_way_groups.cluster_sums(data.groups, data.outcome, data.weight, clusters)
    return Clustered(*sums), data.place


@dataclass(frozen=True, eq=False)
class _Data:
    """What the regression works on.

    Attributes
    ----------
    outcome : (n_firms, n_periods)
    weight : (n_firms,)
    start : (n_groups,)
        Index of each group's first supported period, n_periods for firms without support.
    groups : Groups
        Firms that share all regressors; with controls every firm is its own group.
    shared : tuple of two arrays
        Group of each firm, and a firm of each group, where cohort and observed periods are shared.
    times : (k,) or None
        Event time of each lead and lag; None for the one coefficient of the static regression.
    without_control : int
        Firm-periods that are left out because a control is not known.
    """

    outcome: FloatArray
    weight: FloatArray
    start: IntArray
    groups: Groups
    shared: tuple[IntArray, IntArray]
    times: IntArray | None
    without_control: int

    @classmethod
    def of(cls, design: DesignLike, options: TwoWayFixedEffects) -> _Data:
        history, ordinals = design.history(), design.calendar.ordinals
        start = _first_supported(design)
        since = np.arange(ordinals.size) >= start[:, None]
        usable = history.usable & (start[:, None] < ordinals.size) if options.dynamic else since
        seen = history.usable & (history.untreated | usable)
        controls = [_control(history, name, seen) for name in options.controls]
        known = seen.copy()
        for values in controls:
            known &= np.isfinite(values)
        without = int(seen.sum() - known.sum())
        shared = two_way_groups.alike(design.cohort_codes, known)
        code, first = two_way_groups.alone(known) if controls else shared
        event = np.where(start[:, None] < ordinals.size, _event_times(design, start), np.nan)[first]
        times = _leads_and_lags(design, event, known[first]) if options.dynamic else None
        seen = known[first]
        support = since[first][:, :, None] if times is None else event[:, :, None] == times
        own = [np.where(known, values, 0.0)[first] for values in controls]
        X = np.concatenate([support * 1.0, *(c[:, :, None] for c in own)], axis=2)
        y, size = two_way_groups.group_means(history.outcome, history.weight, code, seen)
        groups = Groups(code, seen, y, X * seen[:, :, None], size)
        return cls(history.outcome, history.weight, start[first], groups, shared, times, without)

    def place(self, event_time: int) -> int | None:
        """Return the coefficient that stands for an event time, None if there is none."""
        if self.times is None:
            return 0 if event_time >= 0 else None
        found = np.flatnonzero(self.times == event_time)
        return int(found[0]) if found.size else None


def _first_supported(design: DesignLike) -> IntArray:
    """Return the index of each firm's first supported period, n_periods without, (n_firms,)."""
    ordinals = design.calendar.ordinals
    starts = np.searchsorted(ordinals, np.asarray(design.cohorts, dtype=np.int64))
    whole = np.concatenate([[ordinals.size], starts]).astype(np.int64)
    first: IntArray = whole[design.cohort_codes]
    return first


def _event_times(design: DesignLike, start: IntArray) -> IntArray:
    """Return the time since first support, in ordinals, (n_firms, n_periods)."""
    ordinals = design.calendar.ordinals
    whole = np.append(ordinals, 0)
    return np.asarray(ordinals[None, :] - whole[start][:, None])


def _leads_and_lags(design: DesignLike, event: FloatArray, seen: BoolArray) -> IntArray:
    lead = -design.calendar.step * (1 + int(design.settings["anticipation"]))
    found = np.unique(event[seen & np.isfinite(event)])
    chosen: IntArray = found[found != lead].astype(np.int64)
    return chosen


def _control(history: HistoryLike, name: str, seen: BoolArray) -> FloatArray:
    """Return a control in every period, (n_firms, n_periods).

    Raises
    ------
    InputError
        EI-E42 when it is a category, or constant within every firm.
    """
    values = history.column(name)
    known = np.where(seen, values, np.nan)
    high, low = np.nanmax(known, axis=1, initial=-np.inf), np.nanmin(known, axis=1, initial=np.inf)
    if not (high > low).any():
        raise InputError(
            "EI-E42",
            f"The control {name!r} never changes within a firm, so that firm effects absorb it and "
            "nothing would be controlled for. Leave it out, or give a number that changes over "
            "time.",
            control=name,
        )
    return values


def _fit(data: _Data, options: TwoWayFixedEffects) -> tuple[FloatArray, FloatArray]:
    """Return coefficients (k + periods,) and the inverse of their normal matrix.

    Raises
    ------
    NotIdentifiedError
        EI-E40, EI-E41 when there is no unique solution.
    """
    groups, n_controls = data.groups, len(options.controls)
    matrix = two_way_groups.normal_matrix(groups) if groups.size.size else np.zeros((1, 1))
    scale = np.sqrt(np.diagonal(matrix))
    scaled = matrix / np.where(scale > 0, np.outer(scale, scale), 1.0)
    if np.linalg.matrix_rank(scaled, tol=1e-9, hermitian=True) < scale.size:
        raise _dependent(data, options)
    bread: FloatArray = np.linalg.inv(scaled) / np.outer(scale, scale)
    if not n_controls:
        return _by_linearmodels(groups), bread
    k = groups.X.shape[2] - n_controls
    of_controls = two_way_groups.coefficients(groups, bread)[k : k + n_controls]
    code, first = data.shared
    rest, seen = data.outcome.copy(), groups.seen[groups.code[first]]
    rest[groups.code >= 0] -= groups.X[:, :, k:] @ of_controls
    y, size = two_way_groups.group_means(rest, data.weight, code, seen)
    found = _by_linearmodels(Groups(code, seen, y, groups.X[groups.code[first], :, :k], size))
    return np.concatenate([found[:k], of_controls, found[k:]]), bread


def _by_linearmodels(groups: Groups) -> FloatArray:
    """Return the coefficients of the groups' regressors and periods."""
    import pandas as pd
    from linearmodels.panel import PanelOLS

    group, t = np.nonzero(groups.seen)
    half = groups.size[group] / 2
    columns = np.concatenate([groups.columns(*chunk) for chunk in groups.chunks()])[group, t]
    # Groups that are few can be fitted exactly, which linearmodels refuses: each stands twice.
    index = pd.MultiIndex.from_arrays([np.append(group, group + groups.size.size), np.tile(t, 2)])
    names = [f"x{j}" for j in range(columns.shape[1])]
    model = PanelOLS(
        pd.Series(np.tile(groups.y[group, t], 2), index=index, name="y"),
        pd.DataFrame(np.tile(columns, (2, 1)), index=index, columns=names),
        weights=pd.Series(np.tile(half, 2), index=index, name="w"),
        entity_effects=True,
        singletons=True,
    )
    found = model.fit(cov_type="unadjusted").params
    return np.asarray(found[names], dtype=float)


def _dependent(data: _Data, options: TwoWayFixedEffects) -> NotIdentifiedError:
    n_periods = data.groups.seen.shape[1]
    if options.dynamic and not (data.start == n_periods).any():
        return NotIdentifiedError(
            "EI-E41",
            "Every firm of the design is supported in the end. Leads and lags of support are then "
            "a combination of firm and period effects, and any straight line could be added to "
            "the path. Use TwoWayFixedEffects() without dynamic, an estimator that compares with "
            "firms not yet supported, or add never supported firms.",
        )
    return NotIdentifiedError(
        "EI-E40",
        "The regressors are linearly dependent given firm and period effects, so that the "
        "coefficient is not unique: support starts for all observed firms at once, nobody is "
        "observed on both sides of it, or controls repeat one another. Add comparison firms or "
        "periods, or drop controls.",
    )
