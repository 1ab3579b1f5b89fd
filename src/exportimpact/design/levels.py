"""The level at which support was assigned, held against starts of support and against clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exportimpact._typing import IntArray

if TYPE_CHECKING:
    from exportimpact.design.design import Design


def starts_differ(design: Design) -> tuple[int, int]:
    """Return groups of the level of assignment whose firms start apart, and all groups."""
    groups = _groups(design)
    inside = design._sample.inside & (groups >= 0)
    return _disagree(groups[inside], design._sample.first[inside])


def clustered_high_enough(design: Design) -> bool:
    """Return whether errors are clustered at the level of assignment, or above it."""
    level, clusters = design.assigned_at, design.cluster_codes
    if level in (None, design.panel.unit, design.panel.cluster):
        return True
    if clusters is None:
        return False
    groups = _groups(design)
    inside = design._sample.inside & (groups >= 0)
    return _disagree(groups[inside], clusters[inside])[0] == 0


def _groups(design: Design) -> IntArray:
    """Return the code of each firm's group, -1 when it is never reported."""
    panel = design.panel
    if design.assigned_at == panel.unit:
        return np.arange(panel.n_firms, dtype=np.int64)
    if design.assigned_at == panel.cluster:
        return panel.cluster_codes
    assert design.assigned_at is not None
    values = panel.baseline(design.assigned_at).values
    seen = np.isfinite(values)
    first = values[np.arange(len(values)), seen.argmax(axis=1)]
    codes = np.unique(first, return_inverse=True)[1]
    return np.where(seen.any(axis=1), codes, -1).astype(np.int64)


def _disagree(groups: IntArray, labels: IntArray) -> tuple[int, int]:
    """Return how many groups hold more than one label, and how many groups there are."""
    codes = np.unique(groups, return_inverse=True)[1]
    n = int(codes.max()) + 1 if codes.size else 0
    low = np.full(n, np.iinfo(np.int64).max)
    high = np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(low, codes, labels)
    np.maximum.at(high, codes, labels)
    return int((low != high).sum()), n
