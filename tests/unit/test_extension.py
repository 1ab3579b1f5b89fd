"""An estimator from outside, written as the documentation says, and what the decorator does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei

SPEC = {
    "id": "or_did",
    "title": "Outcome-regression difference-in-differences",
    "reference": "Heckman, Ichimura & Todd (1997), doi:10.2307/2971733",
    "step": "V-b",
    "requires": {"parallel_trends_given_x", "no_anticipation", "overlap"},
}


@ei.estimator(**SPEC)
@dataclass(frozen=True, kw_only=True)
class OutcomeRegressionDiD:
    """ATT(g, t) from comparison firms' outcome growth regressed on baseline covariates."""

    spec: ClassVar[ei.EstimatorSpec]
    min_comparison: int = 20

    def estimate(self, design, *, rng=None):
        wide, cells = design.wide(), ei.CellBuilder(design, self)
        for cell in design.cells():
            if cell.comparison.size < self.min_comparison:
                cells.not_identified(cell, f"fewer than {self.min_comparison} comparison firms")
                continue
            X, growth, own = wide.covariates(cell), wide.change(cell), cell.supported.size
            bread = np.linalg.inv(X[own:].T @ X[own:])
            residual = growth - X @ (bread @ X[own:].T @ growth[own:])
            att = residual[:own].mean()
            psi = np.zeros(design.units.size)
            psi[cell.supported] = (residual[:own] - att) / own
            psi[cell.comparison] = -residual[own:] * (X[own:] @ bread @ X[:own].mean(axis=0))
            cells.add(cell, estimate=att, influence=design.units.size * psi)
        return cells.result()


def design(n=90, *, weight=None, **options):
    rng = np.random.default_rng(8)
    start = np.repeat([2016, 2017, 0], n // 3)
    x = rng.normal(size=n) + 0.3 * (start > 0)
    y = 10 + x[:, None] * np.arange(5) + rng.normal(size=(n, 5)).cumsum(axis=1)
    y[3, 4] = np.nan
    frame = pd.DataFrame({"firm": np.repeat(np.arange(n), 5), "year": [*range(2014, 2019)] * n})
    frame = frame.assign(y=y.ravel(), x=np.repeat(x, 5), w=np.repeat(rng.uniform(1, 2, n), 5))
    panel = ei.Panel.from_frame(
        frame, unit="firm", period="year", outcomes=["y"], baseline=["x"], weight=weight
    )
    first = pd.DataFrame({"firm": np.arange(n), "first": pd.array(start, dtype="Int64")})
    first.loc[first["first"] == 0, "first"] = pd.NA
    support = ei.Assignment.from_first_period(first, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome="y", **({"covariates": ["x"]} | options))


def made(estimate, **changes):
    """An estimator with this `estimate` method."""

    @ei.estimator(**(SPEC | {"id": "made"} | changes))
    @dataclass(frozen=True, kw_only=True)
    class Made:
        """Made for a test."""

        spec: ClassVar[ei.EstimatorSpec]

        def estimate(self, design, *, rng=None):
            return estimate(self, design, rng)

    return Made()


def refused(act, *arguments):
    with pytest.raises(ei.ExportImpactError) as caught:
        act(*arguments)
    return caught.value.code


@pytest.mark.parametrize("options", [{}, {"base": "varying"}, {"anticipation": 1}])
def test_the_documented_estimator_gives_the_numbers_of_the_built_in_one(options):
    sealed = design(**options).seal()
    theirs = OutcomeRegressionDiD().estimate(sealed)
    ours = ei.did.GroupTime(adjust="regression").estimate(sealed)
    for kind in ("event_time", "cohort", "calendar", "simple"):
        tables = [r.aggregate(kind).table(detail=True) for r in (theirs, ours)]
        pd.testing.assert_frame_equal(*tables, rtol=1e-9)
        bands = [r.aggregate(kind).bands() for r in (theirs, ours)]
        pd.testing.assert_frame_equal(*bands, rtol=1e-9)
    pd.testing.assert_frame_equal(theirs.table(), ours.table(), rtol=1e-9)
    assert theirs.sample.table().equals(ours.sample.table())


def test_it_is_an_estimator_with_a_record():
    sealed = design().seal()
    result = OutcomeRegressionDiD(min_comparison=10).estimate(sealed)
    assert isinstance(OutcomeRegressionDiD(), ei.Estimator)
    assert OutcomeRegressionDiD.spec.requires.names() == SPEC["requires"]
    assert result.step is ei.Step.V_B
    record = result.provenance
    assert (record.estimator, record.parameters) == ("or_did", {"min_comparison": 10})
    assert (record.seal, record.exploratory) == (sealed.hash, False)
    assert str(ei.diagnose(sealed, result)[-1].estimator) == "or_did"
    back = ei.EstimationResult.from_json(result.to_json())
    assert back.provenance.parameters == {"min_comparison": 10}


def test_an_unsealed_design_is_sealed_as_exploratory():
    asked = design()
    result = OutcomeRegressionDiD().estimate(asked)
    assert result.provenance.exploratory
    assert result.provenance.seal == asked.seal().hash
    assert "xploratory" in str(result.notes[0])
    assert "exploratory" in repr(result)
    assert not isinstance(asked, ei.SealedDesign)
    sealed = OutcomeRegressionDiD().estimate(asked.seal())
    assert not any("xploratory" in str(note) for note in sealed.notes)


def test_cells_that_it_gives_up_are_listed():
    result = OutcomeRegressionDiD(min_comparison=31)
    with pytest.raises(ei.ExportImpactError, match="fewer than 31") as caught:
        result.estimate(design())
    assert caught.value.code == "EI-E06"


@pytest.mark.parametrize(
    ("asked", "options", "accepts"),
    [
        ("weights", {"weight": "w"}, {"weights"}),
        ("not_yet", {"comparison": "not_yet"}, {"not_yet"}),
    ],
)
def test_designs_that_it_does_not_accept_are_refused(asked, options, accepts):
    def run(self, design, rng):
        return OutcomeRegressionDiD().estimate(design)

    assert refused(made(run, accepts=()).estimate, design(**options)) == "EI-E03"
    with pytest.raises(ei.ExportImpactError, match=asked):
        made(run, accepts=()).estimate(design(**options))
    if asked == "weights":
        assert refused(OutcomeRegressionDiD().estimate, design(**options)) == "EI-E03"
    else:
        assert made(run, accepts=accepts).estimate(design(**options)).overall().std_error > 0


@dataclass(frozen=True)
class Without:
    """Frozen, without an estimate."""


@dataclass
class Thawed:
    """Not frozen."""

    def estimate(self, design, *, rng=None): ...


class Plain:
    """No dataclass."""

    def estimate(self, design, *, rng=None): ...


@pytest.mark.parametrize(
    ("changes", "cls", "code"),
    [
        ({}, Without, "EI-E02"),
        ({}, Thawed, "EI-E02"),
        ({}, Plain, "EI-E02"),
        ({"requires": {"paralel_trends"}}, Plain, "EI-E01"),
        ({"requires": "luck"}, Plain, "EI-E01"),
        ({"accepts": {"everything"}}, Plain, "EI-E04"),
        ({"blind_to": {"luck": "nobody can see it"}}, OutcomeRegressionDiD, "EI-E01"),
    ],
)
def test_classes_that_are_no_estimators(changes, cls, code):
    assert refused(lambda: ei.estimator(**(SPEC | changes))(cls)) == code


def adding(change):
    """Estimate the first cell with what `change` makes of a good estimate and influence."""

    def run(self, design, rng):
        cells, cell = ei.CellBuilder(design, self), next(design.cells())
        psi = np.zeros(design.units.size)
        psi[cell.rows] = np.linspace(-1, 1, cell.rows.size)
        estimate, influence = change(1.0, psi, cell)
        cells.add(cell, estimate=estimate, influence=influence)
        return cells.result()

    return made(run)


def with_nan(estimate, psi, cell):
    psi[cell.rows[0]] = np.nan
    return estimate, psi


def outside(estimate, psi, cell):
    return estimate, psi + 1.0  # firms outside the cell included


BAD = {
    "of the rows only": lambda e, psi, cell: (e, psi[cell.rows]),
    "of two columns": lambda e, psi, cell: (e, np.column_stack([psi, psi])),
    "not finite": with_nan,
    "not zero outside the cell": outside,
    "estimate not finite": lambda e, psi, cell: (np.nan, psi),
}


@pytest.mark.parametrize("name", BAD)
def test_influence_functions_that_cannot_be_right_are_refused(name):
    # All other cohorts' firms are outside the first cell.
    assert refused(adding(BAD[name]).estimate, design()) == "EI-E05"


def test_a_good_influence_function_is_taken_as_it_is():
    result = adding(lambda e, psi, cell: (e, psi)).estimate(design())
    rows = next(result.design.cells()).rows
    expected = np.sqrt((np.linspace(-1, 1, rows.size) ** 2).sum()) / result.units.size
    assert result.estimate == 1
    assert result.std_error == pytest.approx(expected)
    assert np.flatnonzero(result.influence[:, 0]).tolist() == sorted(rows)


def draws(rng, sealed):
    """What an estimator draws that is given `rng`."""
    seen = []

    def run(self, design, given):
        assert isinstance(given, np.random.Generator)
        seen.append(float(given.random()))
        return OutcomeRegressionDiD().estimate(design)

    estimator = made(run)
    estimator.estimate(sealed, rng=rng() if callable(rng) else rng)
    return seen[0]


def test_random_numbers_come_from_the_seal_unless_asked():
    sealed, other = design().seal(), design(anticipation=1).seal()
    assert draws(None, sealed) == draws(None, design().seal()) == draws(None, design())
    assert draws(None, sealed) != draws(None, other)
    assert draws(5, sealed) == draws(5, other) == draws(lambda: np.random.default_rng(5), sealed)
    assert draws(5, sealed) != draws(6, sealed)
