"""Omitted-variable bias against R's sensemakr on the Darfur survey.

Data: EXPORTIMPACT_REFERENCE/unlabelled/sensemakr_darfur. Numbers: Cinelli & Hazlett (2020),
section 5, as asserted in sensemakr's own tests (tests/testthat/test-02-darfur.R, expect_equal at
1.5e-8 for bounds, 1e-5 for statistics; sensemakr 0.1.4), for

    lm(peacefactor ~ directlyharmed + age + farmer_dar + herder_dar + pastvoted + hhsize_darfur
       + female + village), benchmark "female", kd = 1:3

The package prints the estimate, error and statistics with 7 digits.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exportimpact.numerics.distributions import t_quantile
from exportimpact.numerics.omitted import (
    PartialR2,
    TreatmentFit,
    adjusted,
    benchmark_bounds,
    benchmark_r2,
    extreme_robustness_value,
    partial_r2,
    robustness_value,
    treatment_fit,
)

COVARIATES = ["age", "farmer_dar", "herder_dar", "pastvoted", "hhsize_darfur", "female"]
FEMALE = 1 + COVARIATES.index("female")


@pytest.fixture(scope="module")
def darfur(reference):
    """Outcome, treatment, covariates with village indicators, and equal weights."""
    frame = pd.read_csv(reference("unlabelled/sensemakr_darfur") / "data.csv")
    villages = pd.get_dummies(frame["village"], drop_first=True)
    X = np.column_stack([np.ones(len(frame)), frame[COVARIATES], villages]).astype(float)
    y = frame["peacefactor"].to_numpy(dtype=float)
    d = frame["directlyharmed"].to_numpy(dtype=float)
    return y, d, X, np.ones(len(frame))


@pytest.fixture(scope="module")
def fit(darfur):
    return treatment_fit(*darfur)


def test_regression(fit, golden):
    assert fit.df == 783
    golden(fit.estimate, 0.09731582, rtol=1e-7, what="estimate")
    golden(fit.std_error, 0.02325654, rtol=3e-7, what="standard error")
    golden(fit.estimate / fit.std_error, 4.18445, rtol=1e-6, what="t")


def test_statistics(fit, golden):
    golden(partial_r2(fit), 0.02187309, rtol=3e-7, what="partial R2")
    golden(extreme_robustness_value(fit), 0.02187309, rtol=3e-7, what="extreme scenario")
    golden(robustness_value(fit), 0.1387764, rtol=5e-7, what="RV")
    golden(robustness_value(fit, alpha=0.05), 0.07625797, rtol=1e-7, what="RV at 5 %")


@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_of_a_confounder_like_female(sign, darfur, fit, golden):
    y, d, X, w = darfur
    female = benchmark_r2(y, d, X, w, [np.array([FEMALE])])
    bound = benchmark_bounds(female, np.arange(1.0, 4.0))
    golden(
        bound.treatment, [0.00916428667504862, 0.0183285733500972, 0.0274928600251459], rtol=1e-9
    )
    golden(bound.outcome, [0.12464092303637, 0.249324064199975, 0.374050471038094], rtol=1e-9)
    shown = adjusted(TreatmentFit(sign * fit.estimate, fit.std_error, fit.df), bound)
    golden(
        shown.estimate,
        sign * np.array([0.0752202712144491, 0.0529151723844518, 0.0303960234641548]),
        rtol=1e-9,
        what="adjusted estimate",
    )
    golden(
        shown.std_error,
        [0.0218733277437572, 0.0203500620779637, 0.0186700648170924],
        rtol=1e-9,
        what="adjusted error",
    )
    golden(
        shown.t,
        sign * np.array([3.43890386024675, 2.60024623913809, 1.62806202131271]),
        rtol=1e-9,
        what="adjusted t",
    )
    if sign == 1:
        # sensemakr's intervals keep the degrees of freedom; its RV at a level has one fewer.
        half = t_quantile(0.975, np.array([float(fit.df)])) * shown.std_error
        low, high = shown.estimate - half, shown.estimate + half
        golden(low, [0.032282966, 0.012968035, -0.006253282], rtol=0, atol=1e-8, what="lower")
        golden(high, [0.11815758, 0.09286231, 0.06704533], rtol=0, atol=1e-8, what="upper")


def test_group_of_covariates(darfur, golden):
    """Partial R2 of treatment and "female" together with the outcome: group_partial_r2."""
    y, d, X, w = darfur
    both = np.column_stack([X, d])
    columns = np.array([FEMALE, X.shape[1]])
    nothing = np.zeros_like(d)
    grouped = benchmark_r2(y, nothing, both, w, [columns])
    golden(grouped.outcome, [0.1350435], rtol=5e-7)


def test_robustness_value_printed_from_t_alone(golden):
    """sensemakr: robustness_value(t = 2, dof = 100), printed as 0.1809975."""
    golden(robustness_value(TreatmentFit(2.0, 1.0, 100)), 0.1809975, rtol=3e-7)


def test_capped_robustness_value_is_where_the_t_statistic_is_critical(golden):
    """sensemakr, test-10-rv-xrv.R: t = 1 / 0.3 on 7 degrees of freedom, alpha = 0.05."""
    fit = TreatmentFit(1.0, 0.3, 7)
    rv = robustness_value(fit, alpha=0.05)
    critical = float(t_quantile(0.975, np.array([6.0]))[0])
    outcome = rv / (critical**2 / 6 + rv)
    at = adjusted(fit, PartialR2(np.array(rv), np.array(outcome)))
    golden(at.t, critical, rtol=1e-10)
