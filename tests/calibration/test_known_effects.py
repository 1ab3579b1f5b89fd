"""Bias, coverage and errors on panels whose effect is known.

Bands were fixed before any run: coverage inside the exact binomial 99.9 % band for the number of
draws, SE/SD within 3.29 / sqrt(2 draws) of 1, |bias| at most 0.10 SD plus three Monte Carlo errors.
Seeds are 1, 2, ... draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

import exportimpact as ei

FIRMS, PERIODS = 600, 8
COVERAGE = {300: (0.903, 0.987), 2000: (0.9335, 0.9655)}

RIGHT = [
    ("random_rollout", "none", "never"),
    ("random_rollout", "none", "not_yet"),
    ("staggered_dynamic", "none", "never"),
    ("staggered_dynamic", "none", "not_yet"),
    ("selection_on_trends", "regression", "never"),
    ("selection_on_trends", "weighting", "never"),
    ("selection_on_trends", "doubly_robust", "never"),
]
IN_BRIEF = {RIGHT[1], RIGHT[6]}
"""What the default run repeats with 300 draws; the conformance suite has the rest."""
CASES = [
    pytest.param(*case, 300, id="-".join((*case, "300"))) for case in RIGHT if case in IN_BRIEF
]
CASES += [
    pytest.param(*case, 2000, id="-".join((*case, "2000")), marks=pytest.mark.calibration)
    for case in RIGHT
]
OVERALLS = ("simple", "event_time", "cohort", "calendar")


@dataclass(frozen=True)
class Study:
    """Estimates, errors, truths and whether the interval covers, each (draws,)."""

    estimate: np.ndarray
    std_error: np.ndarray
    truth: np.ndarray
    covers: np.ndarray

    @property
    def sd(self) -> float:
        return float((self.estimate - self.truth).std(ddof=1))

    @property
    def bias(self) -> float:
        return float((self.estimate - self.truth).mean())


def run(scenario: str, adjust: str, comparison: str, draws: int) -> dict[str, Study]:
    found: dict[str, list[tuple[float, float, float, bool]]] = {by: [] for by in OVERALLS}
    for seed in range(1, draws + 1):
        bench = ei.synthetic.scenario(scenario).draw(n_firms=FIRMS, n_periods=PERIODS, seed=seed)
        covariates = () if adjust == "none" else ("employees",)
        design = ei.Design(
            bench.panel,
            bench.support,
            outcome="ln_exports",
            comparison=comparison,
            covariates=covariates,
        )
        result = ei.did.GroupTime(adjust=adjust).estimate(design)
        for by in OVERALLS:
            row = result.overall(by)
            truth = bench.truth.value(row.estimand)
            line = row.table().iloc[0]
            covers = line.ci_low <= truth <= line.ci_high
            found[by].append((line.estimate, line.std_error, truth, covers))
    return {
        by: Study(*(np.array(v) for v in zip(*rows, strict=True))) for by, rows in found.items()
    }


@pytest.mark.parametrize(("scenario", "adjust", "comparison", "draws"), CASES)
def test_right_where_assumptions_hold(
    scenario: str, adjust: str, comparison: str, draws: int
) -> None:
    low, high = COVERAGE[draws]
    wrong = []
    for by, study in run(scenario, adjust, comparison, draws).items():
        band = 0.10 * study.sd + 3 * study.sd / np.sqrt(draws)
        ratio = float(np.sqrt((study.std_error**2).mean())) / study.sd
        if abs(study.bias) > band:
            wrong.append(f"{by}: bias {study.bias:.4f} outside {band:.4f}")
        if not low <= study.covers.mean() <= high:
            wrong.append(f"{by}: coverage {study.covers.mean():.3f} outside {low}-{high}")
        if abs(ratio - 1) > 3.29 / np.sqrt(2 * draws):
            wrong.append(f"{by}: SE/SD {ratio:.3f}")
    assert not wrong, "\n".join(wrong)


def test_unadjusted_comparison_is_wrong_where_trends_depend_on_size() -> None:
    study = run("selection_on_trends", "none", "never", 100)["simple"]
    assert study.bias > 3 * study.sd / np.sqrt(100)
    assert study.covers.mean() < 0.90


def test_two_way_fixed_effects_fail_where_effects_grow_and_differ() -> None:
    from linearmodels.panel import PanelOLS

    bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=4000, n_periods=8, seed=1)
    result = ei.did.GroupTime().estimate(
        ei.Design(bench.panel, bench.support, outcome="ln_exports")
    )
    overall = result.overall("simple")
    truth = bench.truth.value(overall.estimand)
    assert overall.ci_low <= truth <= overall.ci_high

    frame = bench.frame.merge(
        bench.spells.groupby("firm_id")["award_year"].min().rename("first").reset_index(),
        on="firm_id",
        how="left",
    )
    frame["supported"] = (frame["year"] >= frame["first"]).fillna(False).astype(float)
    frame = frame.set_index(["firm_id", "year"])
    model = PanelOLS(
        frame["ln_exports"], frame[["supported"]], entity_effects=True, time_effects=True
    )
    fit = model.fit(cov_type="clustered", cluster_entity=True)
    assert fit.params["supported"] + 3.29 * fit.std_errors["supported"] < truth
