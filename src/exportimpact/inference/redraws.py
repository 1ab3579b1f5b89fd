"""Estimates of one design under other arrangements of its support.

Group-time effects without covariates are differences in means, and need sums alone; everything
else is estimated again in full. Both are held against the estimator's own result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.core.result import EstimationResult
from exportimpact.design import SealedDesign, permuted
from exportimpact.errors import ExportImpactError
from exportimpact.estimators.did.group_time import GroupTime
from exportimpact.inference.mechanism import Mechanism
from exportimpact.numerics.permuted_means import Atoms, Roles, averages, clustered_covariance

_SAME = 1e-8
_TRIAL = 0.75


class Redraw(Protocol):
    """Estimates the overall effect under an arrangement."""

    @property
    def linear(self) -> bool:
        """Whether estimates are linear in the outcome."""
        ...

    def at(self, source: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return estimates of outcome and observed support, (2,), and their covariance."""
        ...


def redraw_of(
    estimator: Any, design: SealedDesign, mechanism: Mechanism, result: EstimationResult
) -> Redraw:
    """Return the fastest way that gives the estimator's own estimate on the observed support."""
    own, within = np.arange(mechanism.labels.size), result.cells.few_clusters
    if _is_means(estimator, design):
        fast = Means.of(design, mechanism, within=within)
        if _agrees(fast.at(own), result.overall("simple")):
            return fast
    again = Again(estimator, design, mechanism, within=within, linear=True)
    return again if again.is_linear((own, np.roll(own, 1))) else replace(again, linear=False)


def _agrees(found: tuple[FloatArray, FloatArray], row: EstimationResult) -> bool:
    """Return whether estimate and error are those of the result; not every row has an error."""
    ours = np.array([found[0][0], np.sqrt(found[1][0, 0])])
    theirs = np.array([row.estimate, row.std_error])
    known = np.isfinite(theirs)
    return bool(np.allclose(ours[known], theirs[known], rtol=_SAME, atol=0))


def _is_means(estimator: Any, design: SealedDesign) -> bool:
    return (
        isinstance(estimator, GroupTime)
        and not design.settings["covariates"]
        and design.panel.weight is None
        and design.comparison in ("never", "not_yet")
        and not bool(permuted.serving(design)[1].any())
    )


@dataclass(frozen=True, eq=False, repr=False)
class Means:
    """Averages of differences in means, from sums that do not depend on the arrangement."""

    atoms: Atoms
    roles: Roles
    history: IntArray
    within: bool
    linear: bool = True

    @classmethod
    def of(cls, design: SealedDesign, mechanism: Mechanism, *, within: bool) -> Means:
        """Take the changes since every base period, summed over units that are clusters."""
        inside = np.flatnonzero(mechanism.codes >= 0)
        unit = mechanism.codes[inside]
        y, ordinals = design.wide().outcome, design.calendar.ordinals
        first = permuted.first_supported(design)
        started = first[inside, None] <= ordinals[None, :]
        cells = list(_cells(design))
        n_units = mechanism.labels.size
        sums = np.zeros((n_units, 3 * len(cells)))
        for c, (_, _, t, b) in enumerate(cells):
            there = permuted.observed(design, b)[inside] & np.isfinite(y[inside, t])
            change = np.where(there, y[inside, t] - y[inside, b], 0.0)
            path = there * (started[:, t] * 1.0 - started[:, b])
            for k, column in enumerate((change, path, there * 1.0)):
                sums[:, k * len(cells) + c] = np.bincount(unit, column, n_units)
        starts, history = np.unique(first[mechanism.example], return_inverse=True)
        clusters = design.cluster_codes
        if clusters is not None:
            clusters = np.unique(clusters[mechanism.example], return_inverse=True)[1]
        size = np.bincount(unit, minlength=n_units).astype(np.float64)
        atoms = Atoms(sums, size, clusters, design.units.size)
        return cls(atoms, _roles(design, cells, starts), history.astype(np.int64), within)

    def at(self, source: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return estimates and covariance when units get the support of `source`."""
        return averages(self.atoms, self.roles, self.history[source], within=self.within)


def _cells(design: SealedDesign) -> Iterable[tuple[int, int, int, int]]:
    """Yield cohort, period, and the indices of period and base of every cell since support."""
    ordinals, step = design.calendar.ordinals, design.calendar.step
    for cohort in design.cohorts:
        base = np.flatnonzero(ordinals == cohort - step * (1 + design.anticipation))
        for t in np.flatnonzero(ordinals >= cohort):
            if base.size:
                yield cohort, int(ordinals[t]), int(t), int(base[0])


def _roles(design: SealedDesign, cells: list[tuple[int, int, int, int]], starts: IntArray) -> Roles:
    cohort = np.array([g for g, _, _, _ in cells])
    period = np.array([t for _, t, _, _ in cells])
    reach = design.anticipation * design.calendar.step
    own = starts[:, None] == cohort
    later = (starts[:, None] > period + reach) & ~own
    if design.comparison == "never":
        later &= (starts > design.calendar.ordinals[-1])[:, None]
    known = np.array(design.cohorts)
    place = np.searchsorted(known, starts)
    inside = np.isin(starts, known)
    return Roles(
        own, later, np.searchsorted(known, cohort), np.where(inside, place + 1, 0).astype(np.int64)
    )


@dataclass(frozen=True, eq=False, repr=False)
class Again:
    """The estimator itself, run on the design with its support dealt out anew."""

    estimator: Any
    design: SealedDesign
    mechanism: Mechanism
    within: bool
    linear: bool

    def at(self, source: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return estimates and covariance; NaN where nothing can be estimated."""
        outcomes = [self._outcome, self._path] if self.linear else [self._outcome]
        theta, psi = np.zeros(2), np.zeros((self.design.units.size, 2))
        try:
            for k, outcome in enumerate(outcomes):
                theta[k], psi[:, k] = self._estimate(source, outcome)
        except ExportImpactError:
            return np.full(2, np.nan), np.full((2, 2), np.nan)
        n, clusters = self.design.units.size, self.design.cluster_codes
        if clusters is None:
            return theta, psi.T @ psi / n**2
        codes = self.design.cohort_codes[self.mechanism.firms(source)]
        inside = self.mechanism.codes >= 0
        found = clustered_covariance(psi, clusters, codes, inside, within=self.within)
        return theta, found / n**2

    def is_linear(self, sources: Iterable[IntArray]) -> bool:
        """Return whether estimates move with a constant effect as linear ones do."""
        for source in sources:
            theta = self.at(source)[0]
            try:
                moved = self._estimate(source, self._outcome - _TRIAL * self._path)[0]
            except ExportImpactError:
                return False
            expected = theta[0] - _TRIAL * theta[1]
            if not np.isclose(moved, expected, rtol=1e-6, atol=1e-9):
                return False
        return True

    def _estimate(self, source: IntArray, outcome: FloatArray) -> tuple[float, FloatArray]:
        dealt = permuted.with_support_of(self.design, self.mechanism.firms(source), outcome)
        row = self.estimator.estimate(dealt).overall("simple")
        return float(row.table()["estimate"].iloc[0]), row.influence[:, 0]

    @property
    def _outcome(self) -> FloatArray:
        return self.design.wide().outcome

    @property
    def _path(self) -> FloatArray:
        started = permuted.first_supported(self.design)[:, None] <= self.design.calendar.ordinals
        return np.where(np.isfinite(self._outcome), started * 1.0, np.nan)
