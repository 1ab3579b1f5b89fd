"""Benchmark and TwoPeriod against regressions by statsmodels and linearmodels, on data that ship.

Job training grants to Michigan firms (Holzer, Block, Cheatham & Knott 1993), from
linearmodels.datasets.jobtraining: hours of training per employee, 1987-1989, first grants in 1988
and 1989. These tests need no folder and always run.

The errors are HC0: sum of squared influence over n^2, no degrees-of-freedom factor.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from linearmodels.datasets import jobtraining
from linearmodels.panel import PanelOLS

from exportimpact import Assignment, Design, Panel
from exportimpact.did import TwoPeriod
from exportimpact.matched import Benchmark

CLOSED = 1e-8


@pytest.fixture(scope="module")
def grants():
    """Firms with hours of training, their first grant, their union, size and a weight."""
    frame = jobtraining.load()[["fcode", "year", "hrsemp", "grant", "union", "employ"]]
    frame = frame.astype({"fcode": int, "year": int})
    first = frame[frame["grant"] > 0].groupby("fcode")["year"].min()
    size = frame.groupby("fcode")["employ"].transform("first").fillna(0)
    return frame.assign(
        first=frame["fcode"].map(first).astype("Int64"),
        size=np.where(size < 20, "small", np.where(size < 60, "medium", "large")),
        union=np.where(frame["union"] > 0, "yes", "no"),
        weight=1 + size / 50,
    )


def design(frame, **panel_options):
    panel = Panel.from_frame(
        frame,
        unit="fcode",
        period="year",
        outcomes=["hrsemp"],
        baseline=["size", "union"],
        **panel_options,
    )
    support = Assignment.from_first_period(frame, unit="fcode", first_period="first")
    return Design(panel, support, outcome="hrsemp")


def sample(frame, cohort, period):
    """Changes from the year before the cohort's start; everybody else is "others"."""
    wide = frame.pivot(index="fcode", columns="year", values="hrsemp")
    rows = frame[frame["year"] == cohort - 1].set_index("fcode")
    rows = rows.assign(dy=wide[period] - wide[cohort - 1], d=(rows["first"] == cohort))
    rows["d"] = rows["d"].fillna(False).astype(float)
    return rows[rows["dy"].notna()]


CELLS = [(1988, 1988), (1988, 1989), (1989, 1987), (1989, 1989)]


@pytest.mark.golden("Benchmark")
@pytest.mark.parametrize("weight", [None, "weight"])
@pytest.mark.parametrize(("cohort", "period"), CELLS)
def test_typical_firms_by_least_squares(cohort, period, weight, grants, golden):
    rows = sample(grants, cohort, period)
    weights = np.ones(len(rows)) if weight is None else rows["weight"]
    fit = sm.WLS(rows["dy"], sm.add_constant(rows["d"]), weights=weights).fit(cov_type="HC0")
    result = Benchmark().estimate(design(grants, weight=weight))
    row = result.table().query("cohort == @cohort and period == @period").iloc[0]
    golden(row["estimate"], fit.params["d"], rtol=CLOSED)
    golden(row["std_error"], fit.bse["d"], rtol=CLOSED)
    assert (row["n_supported"], row["n_comparison"]) == (rows["d"].sum(), (1 - rows["d"]).sum())


@pytest.mark.golden("Benchmark")
@pytest.mark.parametrize("strata", [("size",), ("size", "union")])
@pytest.mark.parametrize(("cohort", "period"), CELLS)
def test_strata_by_direct_standardisation(cohort, period, strata, grants, golden):
    """By hand: each stratum's difference, weighted with the supported firms' shares."""
    rows = sample(grants, cohort, period)
    by = rows.groupby([*strata, "d"])["dy"].agg(["mean", "size"]).unstack("d").dropna()
    shares = by[("size", 1.0)] / by[("size", 1.0)].sum()
    gaps = by[("mean", 1.0)] - by[("mean", 0.0)]
    result = Benchmark(strata=strata).estimate(design(grants))
    row = result.table().query("cohort == @cohort and period == @period").iloc[0]
    golden(row["estimate"], shares @ gaps, rtol=CLOSED)
    assert row["n_supported"] == by[("size", 1.0)].sum()


@pytest.mark.golden("Benchmark")
@pytest.mark.parametrize(("cohort", "period"), CELLS)
def test_strata_by_saturated_regression(cohort, period, grants, golden):
    """Strata, and support times strata centred at the supported mean: its coefficient.

    HC0 of that regression takes the mix of strata as fixed. Ours lets it be drawn with the
    supported firms, which adds the spread of the strata's effects over their number.
    """
    rows = sample(grants, cohort, period)
    dummies = pd.get_dummies(rows["size"], drop_first=True, dtype=float)
    shares = dummies[rows["d"] == 1].mean()
    crossed = (dummies - shares).mul(rows["d"], axis=0).add_prefix("d:")
    X = sm.add_constant(pd.concat([rows["d"], dummies, crossed], axis=1))
    fit = sm.OLS(rows["dy"], X).fit(cov_type="HC0")
    supported = rows["d"] == 1
    effects = fit.params["d"] + crossed[supported] @ fit.params[crossed.columns]
    n_supported = supported.sum()
    result = Benchmark(strata=("size",)).estimate(design(grants))
    row = result.table().query("cohort == @cohort and period == @period").iloc[0]
    golden(row["estimate"], fit.params["d"], rtol=CLOSED)
    variance = fit.bse["d"] ** 2 + effects.var(ddof=0) / n_supported
    golden(row["std_error"], np.sqrt(variance), rtol=CLOSED)


@pytest.mark.golden("TwoPeriod")
@pytest.mark.parametrize("cohort", [1988, 1989])
def test_two_period_is_two_way_fixed_effects(cohort, grants, golden):
    """On two periods and two groups both are the 2x2 difference; CR0 by firm is our error."""
    own = (grants["first"] == cohort).fillna(False)
    years = grants["year"].isin([cohort - 1, cohort])
    frame = grants[(grants["first"].isna() | own) & years].dropna(subset=["hrsemp"])
    frame = frame[frame.groupby("fcode")["year"].transform("size") == 2]
    row = TwoPeriod().estimate(design(grants)).table().query("cohort == @cohort").iloc[0]
    supported = (own[frame.index] & (frame["year"] == cohort)).astype(float)
    data = frame.assign(supported=supported).set_index(["fcode", "year"])
    fit = PanelOLS(data["hrsemp"], data[["supported"]], entity_effects=True, time_effects=True).fit(
        cov_type="clustered",
        cluster_entity=True,
        debiased=False,
        auto_df=False,
        count_effects=False,
    )
    golden(row["estimate"], fit.params["supported"], rtol=CLOSED)
    golden(row["std_error"], fit.std_errors["supported"], rtol=CLOSED)
