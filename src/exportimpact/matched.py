"""Estimators that compare supported firms with typical or matched firms."""

from exportimpact.estimators.matched import Benchmark

__all__ = ["Benchmark"]
