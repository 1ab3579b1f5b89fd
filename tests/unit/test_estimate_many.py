"""One estimator on several designs: the same numbers, with shared fits made once."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import exportimpact as ei
from exportimpact.core.many import Shared, content_key
from exportimpact.estimators.did import two_groups


def designs(frame, support, *, covariates=("employees", "industry"), outcomes=3, **options):
    rng = np.random.default_rng(5)
    names = [f"y{k}" for k in range(outcomes)]
    frame = frame.assign(**{n: frame["ln_exports"] + rng.normal(size=len(frame)) for n in names})
    panel = ei.Panel.from_frame(
        frame,
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome(n, scale="logged") for n in names],
        baseline=["employees", "industry"],
    )
    return [
        ei.Design(panel, support, outcome=n, covariates=list(covariates), **options) for n in names
    ]


@pytest.fixture(scope="module")
def drawn():
    return ei.synthetic.scenario("staggered_dynamic").draw(n_firms=400, n_periods=8, seed=2)


@pytest.fixture
def fits(monkeypatch):
    """How many logits are fitted."""
    counted = []
    fit = two_groups.logit
    monkeypatch.setattr(two_groups, "logit", lambda *a: counted.append(1) or fit(*a))
    return counted


ESTIMATORS = [
    *(ei.did.GroupTime(adjust=a) for a in ("doubly_robust", "regression", "weighting", "none")),
    ei.did.TwoPeriod(),
    ei.matched.Benchmark(),
]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=str)
def test_numbers_are_those_of_separate_estimates(drawn, estimator, n_jobs):
    made = designs(drawn.frame, drawn.support, comparison="not_yet")
    together = ei.estimate_many(estimator, made, n_jobs=n_jobs)
    assert [r.estimand.outcome for r in together] == ["y0", "y1", "y2"]
    for result, design in zip(together, made, strict=True):
        alone = estimator.estimate(design)
        assert_array_equal(result.cells.estimate, alone.cells.estimate)
        assert_array_equal(result.influence, alone.influence)
        assert result.table(detail=True).equals(alone.table(detail=True))
        assert result.notes == alone.notes


def test_the_logit_is_fitted_once_for_all_outcomes(drawn, fits):
    made = designs(drawn.frame, drawn.support)
    ei.did.GroupTime().estimate(made[0])
    alone = len(fits)
    assert alone == 3  # one for each cohort: the same firms in every period
    ei.estimate_many(ei.did.GroupTime(), made)
    assert len(fits) - alone == alone


def test_other_samples_get_fits_of_their_own(drawn, fits):
    """An outcome that is missing elsewhere, or other covariates, never borrow a fit."""
    frame = drawn.frame
    panel = ei.Panel.from_frame(
        frame.assign(holes=frame["ln_exports"].where(frame["firm_id"] % 7 != 0)),
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged"), ei.Outcome("holes", scale="logged")],
        baseline=["employees", "industry"],
    )
    whole = ei.Design(panel, drawn.support, outcome="ln_exports", covariates=["employees"])
    holes = ei.Design(panel, drawn.support, outcome="holes", covariates=["employees"])
    more = ei.Design(
        panel, drawn.support, outcome="ln_exports", covariates=["employees", "industry"]
    )
    together = ei.estimate_many(ei.did.GroupTime(), [whole, holes, more])
    assert len(fits) == 9
    for result, design in zip(together, [whole, holes, more], strict=True):
        alone = ei.did.GroupTime().estimate(design)
        assert_array_equal(result.cells.estimate, alone.cells.estimate)


def test_an_outside_estimator_may_share_and_need_not(drawn):
    made = designs(drawn.frame, drawn.support, outcomes=2)
    seen = []

    class Wrapped:
        def estimate(self, design, *, rng=None, shared=None):
            seen.append(shared)
            return ei.did.TwoPeriod().estimate(design)

    class Plain:
        def estimate(self, design, *, rng=None):
            return ei.did.TwoPeriod().estimate(design)

    assert len(ei.estimate_many(Plain(), made)) == 2
    ei.estimate_many(Wrapped(), made)
    assert isinstance(seen[0], Shared)
    assert seen[0] is seen[1]


def test_keys_tell_contents_apart():
    a = np.arange(6.0)
    assert content_key(a, "x") == content_key(a.copy(), "x")
    others = [a.reshape(2, 3), a.astype(np.float32), a + 1e-16 * (a > 4) + 1e-15]
    assert len({content_key(v) for v in [a, *others]}) == 4
    shared = Shared()
    assert [shared.get(b"k", lambda: 1), shared.get(b"k", lambda: 2)] == [1, 1]
    assert (shared.made, shared.reused) == (1, 1)


@pytest.mark.parametrize(("given", "n_jobs"), [([], 1), (None, 1), ([1], 0), ([1], True)])
def test_nothing_to_work_through(given, n_jobs):
    with pytest.raises(ei.ExportImpactError) as caught:
        ei.estimate_many(ei.did.GroupTime(), given, n_jobs=n_jobs)
    assert caught.value.code == "EI-I11"


def test_what_is_no_design_is_refused():
    with pytest.raises(ei.ExportImpactError) as caught:
        ei.estimate_many(ei.did.GroupTime(), ["panel"])
    assert caught.value.code == "EI-E10"
