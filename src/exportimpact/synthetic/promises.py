"""Which assumptions a scenario promises: named one by one, so that none is promised unread."""

from __future__ import annotations

EVERYTHING = frozenset(
    {
        "parallel_trends",
        "parallel_trends_given_x",
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

TRENDS = LEVELS | {"parallel_trends", "parallel_trends_given_x", "strict_exogeneity"}
"""Fail whenever supported firms would have grown otherwise, for reasons that nobody observes."""

TRENDS_BY_SIZE = frozenset(
    {"parallel_trends", "typical_firms_comparable", "strict_exogeneity", "mean_stationarity"}
)
"""Fail when supported firms would have grown otherwise because of their size, which is observed."""

CLEAN = ("sizes of shocks and shares: conventions of the bench, chosen for certification",)
SIZES = ("meta_mid", "null", "meta_low", "korea_kita")
