"""Effects of support that switches: by baseline, given firms' paths, and per dose.

Notation: a cell compares the change dy (n,) of supported firms, d = 1, with that of comparison
firms with the same support in the first period, whose code from 0 is `baseline` (n,), with weights
w (n,). `sign` (n,) is -1 where a firm's support fell at its first change, so that every effect is
one of more support. Influences are scaled so that estimate - truth is about sum(psi).

References
----------
de Chaisemartin & D'Haultfoeuille (2024), doi:10.1162/rest_a_01414
"""

from __future__ import annotations

import numpy as np

from exportimpact._typing import FloatArray, IntArray


def by_baseline(
    dy: FloatArray,
    d: FloatArray,
    w: FloatArray,
    baseline: IntArray,
    sign: FloatArray,
    path: FloatArray | None = None,
) -> tuple[float, FloatArray]:
    """Return the mean gain of supported firms on comparison firms of their baseline.

    Parameters
    ----------
    path : (n,), optional
        Then the influence takes paths as given: gains of supported firms deviate from the mean of
        those with the same baseline and path, scaled, as those of comparison firms, by
        sqrt(n / (n - 1)) of their group. Firms alone with their path form one group; one that is
        left alone deviates from the effect. Otherwise gains deviate from the effect.
    """
    w1, w0 = w * d, w * (1 - d)
    inside = np.bincount(baseline, w0)
    inside[inside == 0] = 1.0
    gain = dy - (np.bincount(baseline, w0 * dy) / inside)[baseline]
    total = w1.sum()
    effect = float(w1 @ (sign * gain) / total)
    load = np.bincount(baseline, w1 * sign) / total
    of_comparison = -(load / inside)[baseline] * w0 * gain
    if path is None:
        return effect, w1 * (sign * gain - effect) / total + of_comparison
    waiting = np.bincount(baseline, d == 0)
    centre, factor = _within_paths(sign * gain, w1, _groups(d, baseline, path), effect)
    psi = factor * w1 * (sign * gain - centre) / total
    return effect, psi + _factor(waiting)[baseline] * of_comparison


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
        None where the mean dose is 0, doses up and down cancelling included, or not known.
    """
    there = np.isfinite(dose)
    weight = np.where(there, w, 0.0)
    if not weight.sum() > 0:
        return None
    filled = np.where(there, dose, 0.0)
    mean = float(weight @ filled / weight.sum())
    if abs(mean) <= 1e-9 * float(weight @ np.abs(filled) / weight.sum()):
        return None
    scaled = psi / mean
    if not known:
        scaled[: dose.size] -= effect / mean * weight * (filled - mean) / (weight.sum() * mean)
    return effect / mean, scaled, np.where(there, dose, mean)


def _within_paths(
    gain: FloatArray, w1: FloatArray, group: IntArray, effect: float
) -> tuple[FloatArray, FloatArray]:
    """Return what each firm's gain deviates from, and the scale; group 0 is no supported firm."""
    size = np.bincount(group)
    total = np.bincount(group, w1)
    mean = np.bincount(group, w1 * gain) / np.where(total > 0, total, 1.0)
    mean = np.where(size > 1, mean, effect)
    return mean[group], _factor(size)[group]


def _factor(size: FloatArray | IntArray) -> FloatArray:
    return np.asarray(np.sqrt(np.where(size > 1, size / np.maximum(size - 1, 1), 1.0)))


def _groups(d: FloatArray, code: IntArray, path: FloatArray) -> IntArray:
    """Return 0 for comparison firms, 1 for supported firms alone with their path, then the rest."""
    kind = np.unique(path, return_inverse=True)[1] + (path.size + 1) * code
    _, place, size = np.unique(kind[d == 1], return_inverse=True, return_counts=True)
    group = np.zeros(d.size, dtype=np.int64)
    group[d == 1] = np.where(size[place] > 1, place + 2, 1)
    return group
