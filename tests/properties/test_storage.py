"""JSON keeps what aggregates need and no firm-level data; pickle keeps everything."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportimpact import EstimationResult, ExportImpactError
from exportimpact.did import GroupTime, Intertemporal, TwoPeriod
from exportimpact.matched import Benchmark

SEED = st.integers(0, 2**32 - 1)
ESTIMATORS = [
    GroupTime(adjust="none"),
    GroupTime(),
    TwoPeriod(),
    Intertemporal(),
    Benchmark(strata=("kind",)),
]
every_estimator = pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=["none", "robust", "two_period", "intertemporal", "benchmark"]
)
KINDS = ("simple", "event_time", "cohort", "calendar")


def everything(result):
    """Every table that a result can print."""
    yield result.table(detail=True)
    yield result.sample.table()
    yield pd.DataFrame([str(m) for m in result.notes])
    yield pd.DataFrame([str(result.estimand), str(result.step), repr(result.provenance.requires)])
    yield pd.DataFrame([(g, t, str(m)) for g, t, m in result.not_identified])
    if result.rows is None:
        for by, weights in zip(KINDS, ("design", "observed") * 2, strict=True):
            yield result.aggregate(by, weights=weights).table(detail=True)
            yield result.overall(by, weights=weights).table(detail=True)
        yield pd.DataFrame([repr(result.pretrend_test())])
    else:
        yield result.bands(family="all")


@every_estimator
@pytest.mark.parametrize("cluster", [None, "block"])
@settings(max_examples=2)
@given(seed=SEED)
def test_json_round_trip(estimator, cluster, seed, firms):
    one = firms(seed, gaps=0.1)
    one = replace(one.changed(block=one.frame["firm"] // 2), cluster=cluster)
    result = one.estimate(estimator, covariates=["x"])
    for kept in (result, result.aggregate("event_time"), result.overall("cohort")):
        text = kept.to_json()
        back = EstimationResult.from_json(text)
        for before, after in zip(everything(kept), everything(back), strict=True):
            pd.testing.assert_frame_equal(before, after, check_exact=True)
        assert back.to_json() == text
        for name in ("influence", "units"):
            with pytest.raises(ExportImpactError) as caught:
                getattr(back, name)
            assert caught.value.code == "EI-I04"


@every_estimator
@settings(max_examples=3)
@given(seed=SEED)
def test_json_holds_no_firm_level_data(estimator, seed, firms):
    """Its size does not grow with the firms, and no firm is named."""
    small, large = firms(seed, n_firms=30), firms(seed, n_firms=30)
    frame = large.frame
    copies = [frame.assign(firm=frame["firm"] + 1_000 * k) for k in range(5)]
    large = replace(large, frame=pd.concat(copies, ignore_index=True))
    sizes = []
    for one in (small, large):
        named = one.changed(firm="firm-" + one.frame["firm"].astype(str))
        text = named.estimate(estimator).to_json()
        assert "firm-" not in text
        sizes.append(len(text))
        json.loads(text)
    assert sizes[1] < 1.2 * sizes[0]


@every_estimator
@settings(max_examples=3)
@given(seed=SEED)
def test_pickle_round_trip(estimator, seed, firms):
    result = firms(seed, gaps=0.1).estimate(estimator, covariates=["x"])
    back = pickle.loads(pickle.dumps(result))
    for before, after in zip(everything(result), everything(back), strict=True):
        pd.testing.assert_frame_equal(before, after, check_exact=True)
    np.testing.assert_array_equal(back.influence, result.influence)
    assert back.units.tolist() == result.units.tolist()
    assert back.design.hash == result.design.hash
    assert back.design.seal().hash == result.design.hash
