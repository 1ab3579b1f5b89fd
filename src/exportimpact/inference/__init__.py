"""Inference that goes beyond a result's own errors: other nulls, few clusters, trends that differ."""

from exportimpact.inference.randomisation import RandomisationTest, randomisation_test
from exportimpact.inference.sensitivity import Sensitivity, sensitivity
from exportimpact.inference.wild import WildClusterTest, wild_cluster_test

__all__ = [
    "RandomisationTest",
    "Sensitivity",
    "WildClusterTest",
    "randomisation_test",
    "sensitivity",
    "wild_cluster_test",
]
