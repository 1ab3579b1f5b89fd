"""The rogues' gallery: deliberately broken estimators and diagnostics, each rejected by a check.

Each piece is broken in one way that was seen in the field or is easy to commit. The run ends with
the mutation score: how many of the rogues that ran were rejected by the check that is named here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

import exportimpact as ei
from exportimpact.conformance import declared
from exportimpact.conformance.subject import Subject
from exportimpact.conformance.tier import tier_of
from exportimpact.core import diagnostic
from exportimpact.core.aggregation import Sizes
from exportimpact.core.finding import Finding
from exportimpact.language import message
from exportimpact.numerics import two_by_two
from exportimpact.numerics.regression import least_squares

rogue = partial(
    ei.estimator,
    title="Rogue",
    reference="Nobody (2026), doi:10.1000/rogue",
    step="V-b",
    requires={"parallel_trends", "no_anticipation"},
    accepts={"weights", "not_yet", "rejected"},
)
frozen = dataclass(frozen=True, kw_only=True)


class Sound:
    """Group-time differences as they should be; each rogue breaks one step."""

    spec: ClassVar[ei.EstimatorSpec]

    def estimate(self, design):
        cells = ei.CellBuilder(design, self)
        for cell in design.cells():
            effect, psi = self.cell(design, design.wide(), self.sample(design, cell))
            cells.add(cell, estimate=effect, influence=self.placed(design, cell, psi), sampled=True)
        return self.finished(design, cells.result())

    def sample(self, design, cell):
        return cell

    def cell(self, design, wide, cell):
        return two_by_two.difference(wide.change(cell), cell.is_supported, cell.weights)

    def placed(self, design, cell, psi):
        """Influence in the order of the cell's rows, whatever sample was used."""
        used = self.sample(design, cell).rows
        whole = np.zeros(design.units.size)
        whole[used] = psi
        return whole[cell.rows]

    def finished(self, design, result):
        return result


def kept(cell, inside):
    """The cell with the firms that are inside, (n_firms,)."""
    flag = inside[cell.rows]
    n = cell.supported.size
    return replace(
        cell,
        supported=cell.supported[flag[:n]],
        comparison=cell.comparison[flag[n:]],
        weights=cell.weights[flag],
    )


@rogue(id="sound")
@frozen
class Control(Sound):
    """Nothing is broken here."""


@rogue(id="ignores_weights")
@frozen
class IgnoresWeights(Sound):
    """Every firm counts once, whatever the cell's weights."""

    def cell(self, design, wide, cell):
        ones = np.ones(cell.rows.size)
        return two_by_two.difference(wide.change(cell), cell.is_supported, ones)


@rogue(id="post_base")
@frozen
class PostSupportBase(Sound):
    """The change is taken from the first supported period."""

    def cell(self, design, wide, cell):
        start = design.calendar.index(cell.cohort)
        late = replace(cell, base_index=start if cell.event_time > 0 else cell.base_index)
        return two_by_two.difference(wide.change(late), cell.is_supported, cell.weights)


@rogue(id="already_supported")
@frozen
class AlreadySupported(Sound):
    """Every other firm is a comparison, those supported earlier included."""

    def sample(self, design, cell):
        outcome = design.panel.wide(design.outcome)
        seen = np.isfinite(outcome[:, [cell.period_index, cell.base_index]]).all(axis=1)
        seen[cell.supported] = False
        others = np.flatnonzero(seen)
        weights = np.ones(cell.supported.size + others.size)
        return replace(cell, comparison=others, weights=weights)

    def cell(self, design, wide, cell):
        outcome = design.panel.wide(design.outcome)[cell.rows]
        change = outcome[:, cell.period_index] - outcome[:, cell.base_index]
        return two_by_two.difference(change, cell.is_supported, cell.weights)


_GIVEN_X = {"parallel_trends_given_x", "outcome_model", "no_anticipation"}
_ACCEPTS = {"weights", "not_yet", "rejected", "covariates"}


@rogue(id="no_first_step", requires=_GIVEN_X, accepts=_ACCEPTS)
@frozen
class NoFirstStep(Sound):
    """The influence function forgets that the regression was estimated."""

    def cell(self, design, wide, cell):
        dy, d, w = wide.change(cell), cell.is_supported, cell.weights
        X = wide.covariates(cell)
        fit = least_squares(X[d == 0], dy[d == 0], w[d == 0])
        effect, _ = two_by_two.regression(dy, d, w, X, fit)
        return effect, w * d * (dy - X @ fit.coefficients - effect) / (w * d).sum()


@rogue(id="ignores_covariates", requires=_GIVEN_X, accepts=_ACCEPTS)
@frozen
class IgnoresCovariates(Sound):
    """Claims to adjust for covariates, and does not."""


@rogue(id="wrong_errors")
@frozen
class WrongErrors(Sound):
    """Influence functions, and so errors, are too small or too large by a factor.

    Parameters
    ----------
    factor : float
    """

    factor: float = 0.8

    def placed(self, design, cell, psi):
        return self.factor * super().placed(design, cell, psi)


@rogue(id="equal_cells")
@frozen
class EqualCellWeights(Sound):
    """The overall effect is the plain mean of cells, whatever the cohorts' sizes."""

    def finished(self, design, result):
        sizes = result.cells.design_sizes
        equal = Sizes(np.full_like(sizes.value, sizes.value.mean()), sizes.column)
        return replace(result, cells=replace(result.cells, design_sizes=equal))


@rogue(id="levels")
@frozen
class Levels(Sound):
    """Levels after support are compared instead of changes."""

    def cell(self, design, wide, cell):
        return two_by_two.difference(wide.level(cell), cell.is_supported, cell.weights)


@rogue(id="drops_zeros")
@frozen
class DropsZeros(Sound):
    """Firms with zero exports at either end are left out."""

    def sample(self, design, cell):
        y = design.wide().outcome
        return kept(cell, (y[:, cell.period_index] != 0) & (y[:, cell.base_index] != 0))


@rogue(id="drops_exits")
@frozen
class DropsExits(Sound):
    """Firms that closed are left out."""

    def sample(self, design, cell):
        return kept(cell, ~np.isfinite(design.panel.exit_ordinal))


@rogue(id="ignores_clusters")
@frozen
class IgnoresClusters(Sound):
    """Errors treat firms of a cluster as independent."""

    def finished(self, design, result):
        moments = result.cells.influence.moments(design.cohort_codes, None)
        return replace(result, cells=replace(result.cells, moments=moments, clustered=False))


@rogue(id="global_random")
@frozen
class GlobalRandom(Sound):
    """Noise from numpy's global generator."""

    def cell(self, design, wide, cell):
        effect, psi = super().cell(design, wide, cell)
        return effect + 1e-3 * np.random.normal(), psi  # noqa: NPY002 - that is what is broken


@rogue(id="mutates")
@frozen
class Mutates(Sound):
    """Demeans the design's own array."""

    def cell(self, design, wide, cell):
        wide.outcome.setflags(write=True)
        wide.outcome[:] -= np.nanmean(wide.outcome)
        return super().cell(design, wide, cell)


@rogue(id="positional")
@dataclass(frozen=True)
class Positional(Sound):
    """Options may be given by position.

    Parameters
    ----------
    option : int
    """

    option: int = 1


@rogue(id="no_pickle")
@frozen
class NoPickle(Sound):
    """Holds what cannot be stored.

    Parameters
    ----------
    rule : callable
    """

    rule: Callable[[int], int] = field(default=lambda x: x)


@rogue(id="bare_errors")
@frozen
class BareErrors(Sound):
    """Stops with an error of numpy's where the panel is hard."""

    def cell(self, design, wide, cell):
        np.linalg.inv(np.array([[wide.change(cell).var()]]))
        return super().cell(design, wide, cell)


@rogue(id="no_paper", reference="as everybody knows")
@frozen
class NoPaper(Sound):
    """Rests on folklore."""


@rogue(id="uncentred")
@frozen
class Uncentred(Sound):
    """The influence function has a mean."""

    def placed(self, design, cell, psi):
        placed = super().placed(design, cell, psi)
        return placed + np.abs(placed).mean()


@rogue(id="first_firms")
@frozen
class FirstFirms(Sound):
    """Takes the first 60 comparison firms of the file."""

    def sample(self, design, cell):
        n = cell.supported.size
        few = cell.comparison[:60]
        return replace(cell, comparison=few, weights=cell.weights[: n + few.size])


@dataclass(frozen=True)
class Rogue:
    """A broken piece and the check that has to reject it."""

    estimator: Any
    check: str
    tier: str = "quick"
    verdict: str | None = None  # of every diagnostic, where that is what is broken


GALLERY = {
    "ignores the cell's weights": Rogue(IgnoresWeights(), "invariances.weights_as_copies"),
    "post-support base period": Rogue(PostSupportBase(), "invariances.exact_effect"),
    "post-support base period, by draws": Rogue(PostSupportBase(), "statistics.bias[cohort_sizes]"),
    "supported firms as comparison": Rogue(AlreadySupported(), "invariances.always_supported"),
    "no first-stage term": Rogue(NoFirstStep(), "api.influence_derivative"),
    "errors 20 % too small": Rogue(WrongErrors(), "statistics.std_error[random_rollout]"),
    "errors 10 % too small": Rogue(
        WrongErrors(factor=0.9), "statistics.std_error[random_rollout]", "full"
    ),
    "errors 10 % too small, by psi": Rogue(WrongErrors(factor=0.9), "api.influence_derivative"),
    "errors 30 % too large": Rogue(WrongErrors(factor=1.3), "statistics.std_error[random_rollout]"),
    "equal cell weights": Rogue(EqualCellWeights(), "api.aggregates"),
    "covariates ignored": Rogue(IgnoresCovariates(), "statistics.bias[selection_on_trends]"),
    "levels instead of growth": Rogue(Levels(), "invariances.firm_effects"),
    "zero exports dropped": Rogue(DropsZeros(), "invariances.zeros_count"),
    "exits dropped": Rogue(DropsExits(), "invariances.exits_count"),
    "clusters ignored": Rogue(IgnoresClusters(), "invariances.duplicated_firms"),
    "global random state": Rogue(GlobalRandom(), "api.same_seed"),
    "moves global random state": Rogue(GlobalRandom(), "api.global_state"),
    "input mutated": Rogue(Mutates(), "api.inputs_untouched"),
    "positional options": Rogue(Positional(), "api.keyword_only"),
    "cannot be stored": Rogue(NoPickle(), "api.pickles"),
    "errors without a code": Rogue(BareErrors(), "api.coded_errors"),
    "no paper": Rogue(NoPaper(), "documents.reference"),
    "influence with a mean": Rogue(Uncentred(), "api.influence_mean"),
    "depends on firm ids": Rogue(FirstFirms(), "invariances.relabelled_firms"),
    "diagnostic always fires": Rogue(
        Control(), "honesty.false_alarm[random_rollout]", verdict="CONCERN"
    ),
    "diagnostic never fires": Rogue(
        Control(), "honesty.caught[picking_winners]", verdict="SUPPORTS"
    ),
}
CHECKS = {check.id: check for check in declared()}


def always(verdict, design, result):
    """A diagnostic of parallel trends that does not look."""
    return Finding("stuck", verdict, message("finding.no_covariates"), "parallel_trends")


@pytest.fixture
def only(monkeypatch):
    """Return a function that makes one verdict the only one of every diagnostic."""

    def install(verdict):
        check = partial(always, verdict)
        spec = diagnostic.DiagnosticSpec("stuck", "parallel_trends", "result", "none", check)
        diagnostic.registered()  # entry points load before the registry is replaced
        monkeypatch.setattr(diagnostic, "_REGISTRY", {"stuck": spec})

    return install


CASES = [
    pytest.param(piece, id=name, marks=pytest.mark.calibration if piece.tier == "full" else ())
    for name, piece in GALLERY.items()
]


@pytest.mark.parametrize("piece", CASES)
def test_rogue_is_rejected(piece, only, request):
    if piece.verdict is not None:
        only(piece.verdict)
    check = CHECKS[piece.check]
    # The tier's choice of scenarios is for time; the named one is what is asked here.
    tier = replace(tier_of(piece.tier), scenarios=None, null_scenarios=0)
    ruling = check.rule(Subject(piece.estimator, tier))
    # Only where storing fails is an exception the way to be caught; elsewhere it is our mistake.
    by_accident = ": " in ruling.reason and ruling.reason.split(":")[0].endswith("Error")
    caught = ruling.status == "failed" and (piece.check == "api.pickles" or not by_accident)
    request.node.user_properties.append(("rogue", caught))
    assert caught, (ruling.status, ruling.reason)


# What draws is left to tests/conformance, where sound estimators pass it.
QUICK = {p.check for p in GALLERY.values() if not p.check.startswith("statistics")}


@pytest.mark.parametrize("check", sorted(QUICK))
def test_a_sound_estimator_passes_the_same_check(check):
    tier = replace(tier_of("quick"), scenarios=None, null_scenarios=0)
    ruling = CHECKS[check].rule(Subject(Control(), tier))
    assert ruling.status in {"passed", "skipped"}, (ruling.status, ruling.reason)
