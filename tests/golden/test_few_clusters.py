"""Cluster-robust covariances, their degrees of freedom, and the wild cluster bootstrap.

Numbers: EXPORTIMPACT_REFERENCE/cluster_robust_mortality (clubSandwich 0.5.8, estimatr 1.0.0),
petersen_clustering (sandwich 3.0.2) and wild_cluster_bootstrap (enumeration in R 4.2.2); each
record names its command.

Conventions: CR1 multiplies by G/(G-1), CR1S (Stata, and sandwich's HC1 with cadjust) by
G/(G-1) (n-1)/(n-k). With every row its own cluster CR0, CR2 and CR3 are HC0, HC2 and HC3, and CR1S
is n/(n-1) (n-1)/(n-k) = HC1. estimatr counts absorbed effects among the k regressors; with dummies
that is the same k. Its degrees of freedom for "stata" and CR0 are G - 1, which ours never are.
sandwich gives each of the three covariances of two ways its own G/(G-1), as `two_way` does.

An enumerated bootstrap holds the sample itself and its mirror image. Counting them gives the
record's p_weak, which is our p-value; leaving them out gives p_strict, which boottest prints.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from exportimpact.numerics.cluster_robust import Clustered, two_way
from exportimpact.numerics.wild_cluster import draw, regression_parts

CLOSED = 1e-8


def dummies(column):
    return pd.get_dummies(column, dtype=float).to_numpy()


@pytest.fixture(scope="module")
def mortality(reference):
    return pd.read_csv(reference("cluster_robust_mortality") / "data.csv")


@pytest.fixture(scope="module")
def petersen(reference):
    return pd.read_csv(reference("petersen_clustering") / "data.csv")


@pytest.fixture(scope="module")
def grunfeld(reference):
    return pd.read_csv(reference("wild_cluster_bootstrap") / "data.csv")


def with_effects(frame):
    """State and year dummies, the first year left out, as factor() does without a constant."""
    parts = [frame[["legal", "beertaxa"]], dummies(frame["state"]), dummies(frame["year"])[:, 1:]]
    return np.hstack(parts)


def codes(column):
    return np.unique(column, return_inverse=True)[1].astype(np.int64)


@pytest.mark.parametrize("kind", ["CR0", "CR1", "CR1S", "CR2"])
def test_dummies_and_satterthwaite(kind, mortality, records, golden):
    expected = pd.DataFrame(
        records("cluster_robust_mortality").by_id[f"mortality/fe_dummy_{kind}"]["table"]
    )
    fit = Clustered.of(
        with_effects(mortality), mortality["mrate"].to_numpy(), codes(mortality["state"])
    )
    for place, row in expected.iterrows():
        found = fit.test(np.eye(fit.moment.shape[1])[place], kind=kind)
        ours = [found.estimate, found.std_error, found.statistic, found.df, found.p_value]
        theirs = row[["estimate", "std_error", "tstat", "df", "p"]].to_numpy(dtype=float)
        golden(ours, theirs, rtol=CLOSED, what=f"{kind} {row['term']}")


def test_two_restrictions(mortality, records, golden):
    expected = records("cluster_robust_mortality").by_id["mortality/wald_HTZ_CR2"]["table"][0]
    fit = Clustered.of(
        with_effects(mortality), mortality["mrate"].to_numpy(), codes(mortality["state"])
    )
    found = fit.hotelling(np.eye(fit.moment.shape[1])[:2])
    ours = [found.statistic, found.scale, found.df_denominator, found.p_value]
    theirs = [expected[k] for k in ("Fstat", "delta", "df_denom", "p_val")]
    golden(ours, theirs, rtol=CLOSED, what="HTZ")


@pytest.mark.parametrize(
    ("record", "kind", "level"),
    [
        ("lm_robust_HC0", "CR0", "row"),
        ("lm_robust_HC1", "CR1S", "row"),
        ("lm_robust_HC2", "CR2", "row"),
        ("lm_robust_HC3", "CR3", "row"),
        ("lm_robust_CR0", "CR0", "state"),
        ("lm_robust_stata", "CR1S", "state"),
        ("lm_robust_CR2", "CR2", "state"),
    ],
)
def test_without_state_effects(record, kind, level, mortality, records, golden):
    expected = pd.DataFrame(
        records("cluster_robust_mortality").by_id[f"mortality/{record}"]["table"]
    )
    X = np.hstack(
        [
            np.ones((len(mortality), 1)),
            mortality[["legal", "beertaxa"]],
            dummies(mortality["year"])[:, 1:],
        ]
    )
    rows = np.arange(len(mortality)) if level == "row" else codes(mortality["state"])
    fit = Clustered.of(X, mortality["mrate"].to_numpy(), rows)
    golden(fit.coefficients, expected["estimate"], rtol=CLOSED, what="coefficients")
    errors = np.sqrt(np.diagonal(fit.covariance(kind)))
    golden(errors, expected["std_error"], rtol=CLOSED, what=record)
    if record == "lm_robust_CR2":
        df = [fit.freedom(c) for c in np.eye(X.shape[1])]
        golden(df, expected["df"], rtol=CLOSED, what="degrees of freedom")


@pytest.mark.parametrize(("record", "kind"), [("CR0", "CR0"), ("stata", "CR1S"), ("CR2", "CR2")])
def test_absorbed_effects(record, kind, mortality, records, golden):
    expected = pd.DataFrame(
        records("cluster_robust_mortality").by_id[f"mortality/lm_robust_fe_{record}"]["table"]
    )
    fit = Clustered.of(
        with_effects(mortality), mortality["mrate"].to_numpy(), codes(mortality["state"])
    )
    golden(fit.coefficients[:2], expected["estimate"], rtol=CLOSED, what="coefficients")
    errors = np.sqrt(np.diagonal(fit.covariance(kind)))[:2]
    golden(errors, expected["std_error"], rtol=CLOSED, what=record)


@pytest.mark.parametrize(
    ("record", "kind", "level"),
    [
        ("white_HC0", "CR0", "row"),
        ("white_HC1", "CR1S", "row"),
        ("white_HC2", "CR2", "row"),
        ("white_HC3", "CR3", "row"),
        ("cluster_firm_HC1", "CR1S", "firm"),
        ("cluster_firm_HC0_nocadjust", "CR0", "firm"),
        ("cluster_year_HC1", "CR1S", "year"),
        ("cluster_year_HC0_nocadjust", "CR0", "year"),
    ],
)
def test_one_way(record, kind, level, petersen, records, golden):
    expected = pd.DataFrame(records("petersen_clustering").by_id[record]["table"])
    X = np.column_stack([np.ones(len(petersen)), petersen["x"]])
    rows = np.arange(len(petersen)) if level == "row" else codes(petersen[level])
    fit = Clustered.of(X, petersen["y"].to_numpy(), rows)
    golden(fit.coefficients, expected["estimate"], rtol=CLOSED, what="coefficients")
    errors = np.sqrt(np.diagonal(fit.covariance(kind)))
    golden(errors, expected["std_error"], rtol=CLOSED, what=record)


@pytest.mark.parametrize(("record", "kind"), [("HC1", "CR1S"), ("HC0_nocadjust", "CR0")])
def test_two_ways(record, kind, petersen, records, golden):
    expected = pd.DataFrame(
        records("petersen_clustering").by_id[f"cluster_firm_year_{record}"]["table"]
    )
    X = np.column_stack([np.ones(len(petersen)), petersen["x"]])
    found = two_way(
        X, petersen["y"].to_numpy(), codes(petersen["firm"]), codes(petersen["year"]), kind=kind
    )
    golden(np.sqrt(np.diagonal(found)), expected["std_error"], rtol=CLOSED, what=record)


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    ("model", "scheme"),
    [("fe", "WCR_null_imposed"), ("fe", "WCU_unrestricted"), ("pooled", "WCR_null_imposed")],
)
def test_every_sign_pattern(model, scheme, place, grunfeld, records, golden):
    name = ("value", "capital")[place]
    found = records("wild_cluster_bootstrap").by_id[f"grunfeld_{model}/{name}/{scheme}"]["scalars"]
    own = dummies(grunfeld["firm"]) if model == "fe" else np.ones((len(grunfeld), 1))
    X = np.hstack([grunfeld[["value", "capital"]], own])
    fit = Clustered.of(X, grunfeld["inv"].to_numpy(), codes(grunfeld["firm"]))
    parts = regression_parts(fit, np.eye(X.shape[1])[place])
    drawn = draw(
        parts,
        draws=1024,
        rng=np.random.default_rng(0),
        restricted=scheme == "WCR_null_imposed",
    )
    assert drawn.enumerated
    assert drawn.n_draws == found["n_draws"]
    golden(drawn.estimate, found["coef"], rtol=CLOSED, what="coefficient")
    golden(drawn.std_error, found["se_CR0"], rtol=CLOSED, what="standard error")
    golden(drawn.statistic(), found["t_CR0"], rtol=CLOSED, what="statistic")
    golden(drawn.p_value(), found["p_weak"], rtol=CLOSED, what="p with ties")
    golden(drawn.p_value(ties=False), found["p_strict"], rtol=CLOSED, what="p without ties")
