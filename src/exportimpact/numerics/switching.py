"""Effects of support that switches: influences given firms' paths, per dose, and in total.

Notation: a cell compares the change dy (n,) of supported firms, d = 1, with that of comparison
firms, with weights w (n,). Influences are scaled so that estimate - truth is about sum(psi).

References
----------
de Chaisemartin & D'Haultfoeuille (2024), doi:10.1162/rest_a_01414
"""

from __future__ import annotations

import numpy as np

from exportimpact._typing import FloatArray, IntArray


def difference_given_paths(
    dy: FloatArray, d: FloatArray, w: FloatArray, path: FloatArray
) -> tuple[float, FloatArray]:
    """Return the difference in mean changes, and its influence with firms' paths as given.

    Changes deviate from the mean of supported firms with the same `path`, (n,), or of comparison
    firms, and are scaled by sqrt(n / (n - 1)) of their group. Firms alone with their path form one
    group; one that is left alone deviates from the mean of all supported firms.
    """
    w1, w0 = w * d, w * (1 - d)
    effect = float(w1 @ dy / w1.sum() - w0 @ dy / w0.sum())
    group = _groups(d, path)
    size = np.bincount(group)
    mean = np.bincount(group, w * dy) / np.bincount(group, w)
    lone = (size[group] == 1) & (d == 1)
    centre = np.where(lone, w1 @ dy / w1.sum(), mean[group])
    factor = np.where(size > 1, size / np.maximum(size - 1, 1), 1.0)
    psi = np.sqrt(factor)[group] * (dy - centre) * (w1 / w1.sum() - w0 / w0.sum())
    return effect, psi


def per_dose(
    effect: float, psi: FloatArray, w: FloatArray, dose: FloatArray, *, known: bool
) -> tuple[float, FloatArray, FloatArray] | None:
    """Return effect and influence per mean dose, and the doses with gaps filled by their mean.

    Parameters
    ----------
    psi : (n,)
        Influence of the effect; the supported firms come first.
    w, dose : (n_supported,)
        Weights and doses of the supported firms, NaN where not known.
    known : bool
        Whether the mean dose is taken as it is, so that it has no influence.

    Returns
    -------
    tuple or None
        None where the mean dose is 0 or not known.
    """
    there = np.isfinite(dose)
    weight = np.where(there, w, 0.0)
    if not weight.sum() > 0:
        return None
    filled = np.where(there, dose, 0.0)
    mean = float(weight @ filled / weight.sum())
    if mean == 0:
        return None
    scaled = psi / mean
    if not known:
        scaled[: dose.size] -= effect / mean * weight * (filled - mean) / (weight.sum() * mean)
    return effect / mean, scaled, np.where(there, dose, mean)


def _groups(d: FloatArray, path: FloatArray) -> IntArray:
    """Return 0 for comparison firms, 1 for supported firms alone with their path, then the rest."""
    _, code, size = np.unique(path[d == 1], return_inverse=True, return_counts=True)
    group = np.zeros(d.size, dtype=np.int64)
    group[d == 1] = np.where(size[code] > 1, code + 2, 1)
    return np.unique(group, return_inverse=True)[1].astype(np.int64)
