"""Inference beyond the errors of a result: few clusters, trends that differ, families, power."""

from exportimpact.inference.equivalence import EquivalenceTest, equivalence_test
from exportimpact.inference.families import adjust
from exportimpact.inference.power import PretrendPower, pretrend_power
from exportimpact.inference.randomisation import RandomisationTest, randomisation_test
from exportimpact.inference.sensitivity import Sensitivity, sensitivity
from exportimpact.inference.wild import WildClusterTest, wild_cluster_test

__all__ = [
    "EquivalenceTest",
    "PretrendPower",
    "RandomisationTest",
    "Sensitivity",
    "WildClusterTest",
    "adjust",
    "equivalence_test",
    "pretrend_power",
    "randomisation_test",
    "sensitivity",
    "wild_cluster_test",
]
