"""Comparison with other firms: typical firms (step IV) and matched firms (step V)."""

from exportimpact.estimators.matched.benchmark import Benchmark

__all__ = ["Benchmark"]
