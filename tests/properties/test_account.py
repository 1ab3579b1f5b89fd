"""Every firm and firm-period is accounted for: what came in less what left is what was used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from exportimpact import Assignment, Design, Outcome
from exportimpact.did import GroupTime, Intertemporal, TwoPeriod
from exportimpact.errors import NotIdentifiedError
from exportimpact.matched import Benchmark

SEED = st.integers(0, 2**32 - 1)
# Mirrored placebos would leave out firms of the design's cells.
ESTIMATORS = [
    GroupTime(adjust="none"),
    GroupTime(),
    TwoPeriod(),
    Intertemporal(placebos="all"),
    Benchmark(),
]


def adds_up(account):
    """The table sums to zero against its last line, which is what remains."""
    table = account.table()
    used = table[["firms", "firm_periods"]].iloc[-1]
    assert tuple(used) == account.remaining
    assert (table[["firms", "firm_periods"]].iloc[:-1].sum() == used).all()
    assert (used >= 0).all()
    assert all(e.firms >= 0 for e in account.entries)
    assert all(str(e.reason) for e in account.entries)


def used_in(result, design, pool=None):
    """Firms and firm-periods in some estimated cell, counted from the cells of the design."""
    estimated = set(result.estimand.cells)
    seen = {
        (firm, period)
        for cell in design.cells(pool=pool)
        if (cell.cohort, cell.period) in estimated
        for firm in cell.rows
        for period in (cell.period_index, cell.base_index)
    }
    return len({firm for firm, _ in seen}), len(seen)


def messy(firms, seed, gaps):
    """Missing reports, missing rows, repeated rows, zeros, missing covariates, early support."""
    one = firms(seed, gaps=gaps)
    rng = np.random.default_rng(seed)
    frame = one.frame.assign(y=one.frame["y"] - 50)
    frame = frame[rng.random(len(frame)) > gaps]
    firm = frame["firm"].unique()
    early = frame["firm"].isin(rng.choice(firm, 3, replace=False)) & frame["first"].notna()
    late = frame["firm"].isin(rng.choice(firm, 3, replace=False)) & frame["first"].isna()
    frame = frame.assign(
        first=frame["first"].mask(early, 2005).mask(late, 2030),
        x=frame["x"].mask(frame["firm"].isin(rng.choice(firm, 2, replace=False))),
    )
    repeated = frame.sample(5, random_state=seed % 2**31)
    options = (("missing_baseline", "drop"), ("duplicates", "first"))
    return replace(one, frame=pd.concat([frame, repeated]), panel_options=options)


@pytest.mark.parametrize("unbalanced", ["pairwise", "balanced"])
@pytest.mark.parametrize("scale", ["level", "log"])
@settings(max_examples=8)
@given(
    seed=SEED, gaps=st.sampled_from([0.01, 0.03]), never=st.sampled_from(["loosely", "strictly"])
)
def test_design_account(unbalanced, scale, seed, gaps, never, firms):
    """What remains is what a reader can count in the frame."""
    one = messy(firms, seed, gaps)
    if scale == "log":
        one = one.changed(y=one.frame["y"] + 3)
        one = replace(one, outcome=Outcome("ln_y", column="y", scale="log"))
    try:
        design = one.design(unbalanced=unbalanced, never=never)
    except NotIdentifiedError:
        reject()
    adds_up(design.account)
    assert (design.account.firms, design.account.firm_periods) == (
        one.frame["firm"].nunique(),
        len(one.frame),
    )
    frame = one.frame.drop_duplicates(["firm", "year"])
    frame = frame[~frame.groupby("firm")["x"].transform(lambda x: x.isna().any())]
    frame = frame[frame["y"] > 0] if scale == "log" else frame[frame["y"].notna()]
    frame = frame[~(frame["first"] <= 2010).fillna(False)]
    if never == "strictly":
        frame = frame[~(frame["first"] > 2014).fillna(False)]
    if unbalanced == "balanced":
        frame = frame[frame.groupby("firm")["year"].transform("size") == 5]
    assert design.account.remaining == (frame["firm"].nunique(), len(frame))


@pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=["none", "robust", "two_period", "intertemporal", "benchmark"]
)
@settings(max_examples=8)
@given(
    seed=SEED,
    gaps=st.sampled_from([0.01, 0.1]),
    comparison=st.sampled_from(["never", "not_yet"]),
    base=st.sampled_from(["universal", "varying"]),
)
def test_result_account(estimator, seed, gaps, comparison, base, firms):
    one = messy(firms, seed, gaps)
    design = one.design(comparison=comparison, base=base, covariates=["x"])
    try:
        result = estimator.estimate(design)
    except NotIdentifiedError:
        reject()
    adds_up(result.sample)
    pool = "others" if isinstance(estimator, Benchmark) else None
    assert result.sample.remaining == used_in(result, design, pool)
    assert result.sample.entries[: len(design.account.entries)] == design.account.entries
    table = result.table()
    assert table["n_supported"].max() <= result.sample.remaining[0]


@settings(max_examples=8)
@given(seed=SEED, others=st.sampled_from(["drop_comparison", "ignore", "censor"]))
def test_other_programmes(seed, others, firms):
    """A fifth of the firms have support from a fair as well."""
    one = firms(seed, gaps=0.05)
    rng = np.random.default_rng(seed)
    spells = one.frame.drop_duplicates("firm").dropna(subset=["first"])
    vouchers = pd.DataFrame({"firm": spells["firm"], "year": spells["first"].astype(int)})
    fair = rng.choice(one.frame["firm"].unique(), 6, replace=False)
    fairs = pd.DataFrame({"firm": fair, "year": rng.integers(2009, 2016, 6)})
    both = pd.concat([vouchers.assign(what="voucher"), fairs.assign(what="fair")])
    support = Assignment.from_spells(both, unit="firm", start="year", programme="what")
    design = Design(one.panel(), support.focus("voucher", others=others), outcome="y")
    adds_up(design.account)
    result = GroupTime(adjust="none").estimate(design)
    adds_up(result.sample)
    assert result.sample.remaining == used_in(result, design)
    frame = one.frame.dropna(subset=["y"])
    started = frame["firm"].map(fairs.set_index("firm")["year"])
    if others == "censor":
        frame = frame[~(frame["year"] >= started)]
    if others == "drop_comparison":
        frame = frame[~((started <= 2014) & frame["first"].isna())]
    assert design.account.remaining == (frame["firm"].nunique(), len(frame))
