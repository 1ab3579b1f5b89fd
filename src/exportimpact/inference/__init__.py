"""Inference beyond the errors of a result: few clusters, few firms, trends that differ."""

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
