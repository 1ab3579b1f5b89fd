"""Which assumptions a scenario promises: named one by one, so that none is promised unread."""

from __future__ import annotations

EVERYTHING = frozenset(
    {
        "parallel_trends",
        "parallel_trends_given_x",
        "parallel_growth",
        "parallel_growth_given_x",
        "no_anticipation",
        "overlap",
        "outcome_model",
        "propensity_model",
        "unconfoundedness",
        "typical_firms_comparable",
        "no_interference",
        "same_measurement",
        "homogeneous_effects",
        "strict_exogeneity",
        "mean_stationarity",
        "no_dominant_firm",
        "missing_at_random",
        "independent_clusters",
    }
)

OTHERS = frozenset({"typical_firms_comparable"})
"""Fail where many of the other firms are supported themselves, and support does something."""

LEVELS = frozenset({"unconfoundedness", "typical_firms_comparable"})
"""Fail whenever supported firms differ from others in what nobody observes."""

GIVEN = frozenset({"parallel_trends_given_x", "parallel_growth_given_x"})
"""Parallel given the covariates: of the outcome itself, and of mean exports in money as ratios."""

PARALLEL = GIVEN | {"parallel_trends", "parallel_growth"}
"""The same, given nothing. Trends that are parallel in logs are parallel as ratios of means where
yearly shocks do not depend on support; where log growth differs, ratios do."""

TRENDS = LEVELS | PARALLEL | {"strict_exogeneity"}
"""Fail whenever supported firms would have grown otherwise, for reasons that nobody observes."""

TRENDS_BY_SIZE = frozenset(
    {
        "parallel_trends",
        "parallel_growth",
        "typical_firms_comparable",
        "strict_exogeneity",
        "mean_stationarity",
    }
)
"""Fail when supported firms would have grown otherwise because of their size, which is observed."""

CLEAN = ("sizes of shocks and shares: conventions of the bench, chosen for certification",)
SIZES = ("meta_mid", "null", "meta_low", "korea_kita")
