"""Firms of the clean world: 10 to 250 employees, skewed to the right.

The number of employees takes finitely many values, so that expectations over firms are finite sums,
and no firm is so large that overlap fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.synthetic.firms import Category

SIZES = np.arange(10, 251)
_SHAPE = (SIZES - 9.5) * (250.5 - SIZES) ** 3
MASS: FloatArray = _SHAPE / _SHAPE.sum()
"""Probability of each number of employees in `SIZES`."""

_MEAN = float(MASS @ SIZES)
_SD = float(np.sqrt(MASS @ (SIZES - _MEAN) ** 2))
_MEDIUM_FROM = 50


@dataclass(frozen=True, eq=False)
class Population:
    """Who the firms are, (n_firms,) each.

    Attributes
    ----------
    ids, employees : IntArray
    z : FloatArray
        Standardised number of employees.
    size : IntArray
        Place of the number of employees in `SIZES`.
    industry, region : Category
    growth, level : FloatArray
        Standard normal growth type and firm effect; neither is observed.
    """

    ids: IntArray
    employees: IntArray
    z: FloatArray
    size: IntArray
    industry: Category
    region: Category
    growth: FloatArray
    level: FloatArray

    @property
    def categories(self) -> Mapping[str, Category]:
        """Categorical columns by name."""
        return {
            "industry": self.industry,
            "region": self.region,
            "size_class": size_class(self.employees),
        }


def standardised(employees: IntArray) -> FloatArray:
    """Return the number of employees less its mean, over its standard deviation."""
    z: FloatArray = (employees.astype(np.float64) - _MEAN) / _SD
    return z


def size_class(employees: IntArray) -> Category:
    """Return small (10 to 49 employees) or medium."""
    return Category((employees >= _MEDIUM_FROM).astype(np.int64), ("small", "medium"))
