"""Supported and comparison firms of any number, the same for every package."""

from __future__ import annotations

import numpy as np
import pandas as pd

INDUSTRIES = 40


def firms(n_supported: int, n_comparison: int, columns: int, seed: int = 1) -> pd.DataFrame:
    """Return one row per firm: id, treat, x0, x1, ..., industry, y."""
    rng = np.random.default_rng(seed)
    n = n_supported + n_comparison
    treat = np.arange(n) < n_supported
    x = rng.normal(size=(n, columns)) + 0.2 * treat[:, None] / np.sqrt(columns)
    frame = pd.DataFrame(x, columns=[f"x{j}" for j in range(columns)])
    frame["treat"] = treat.astype(int)
    frame["industry"] = rng.integers(0, INDUSTRIES, n)
    frame["y"] = x.sum(axis=1) + 0.07 * treat + rng.normal(size=n)
    frame = frame.sample(frac=1, random_state=seed).reset_index(drop=True)
    frame.insert(0, "id", np.arange(n))
    return frame
