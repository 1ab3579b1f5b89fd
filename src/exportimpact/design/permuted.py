"""A design with the support of its firms dealt out anew, for tests that rest on who was chosen."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.design.wide import Wide

if TYPE_CHECKING:
    from exportimpact.design.design import Design, SealedDesign

_OF_THE_FIRM = frozenset({"other_supported", "censor_from"})
_HANDED_ON = ("_covariates", "settings", "facts", "assumes", "terms")


def inside(design: Design) -> BoolArray:
    """Return which firms are in the design, (n_firms,)."""
    return design._sample.inside


def first_supported(design: Design) -> IntArray:
    """Return the ordinal of first support, `NEVER` for firms without, (n_firms,)."""
    return design._sample.first


def histories(design: Design) -> IntArray:
    """Return a code for each firm's whole history of support, (n_firms,): equal where alike."""
    first, aligned = design._sample.first, design.aligned
    path = aligned.supported.astype(np.float64) if aligned.dose is None else aligned.dose
    key = np.concatenate([first[:, None].astype(np.float64), np.nan_to_num(path, nan=-1.0)], axis=1)
    flat = np.ascontiguousarray(key).view(np.dtype((np.void, key.itemsize * key.shape[1])))
    return np.unique(flat.ravel(), return_inverse=True)[1].ravel().astype(np.int64)


def observed(design: Design, base: int) -> BoolArray:
    """Return which firms can be compared from a base period (an index) on, (n_firms,)."""
    return design._identifier.observed_at(base)


def serving(design: Design) -> tuple[BoolArray, BoolArray]:
    """Return firms of the never-supported pool, and those kept out of every pool, (n_firms,)."""
    return design._sample.in_never_pool, design._sample.outside_comparison


def with_support_of(
    design: Design, source: IntArray, outcome: FloatArray | None = None
) -> SealedDesign:
    """Return the design in which firm i has the support of firm ``source[i]``.

    Everything else stays: outcomes as they are in the sample, covariates, weights, clusters,
    support by other programmes. The design is handed on as if it were sealed, with the seal of the
    design that it comes from.

    Parameters
    ----------
    design : Design
    source : (n_firms,)
        A firm of the design for each firm of it.
    outcome : (n_firms, n_periods), optional
        Another outcome, NaN outside the sample.
    """
    from exportimpact.design.design import SealedDesign

    sample, aligned = design._sample, design.aligned
    n = source.size
    moved = {
        f.name: getattr(aligned, f.name)[source]
        for f in fields(aligned)
        if f.name not in _OF_THE_FIRM
        and isinstance(getattr(aligned, f.name), np.ndarray)
        and len(getattr(aligned, f.name)) == n
    }
    dealt = replace(
        sample,
        y=sample.y if outcome is None else np.asfortranarray(outcome),
        first=np.where(sample.inside, sample.first[source], sample.first),
        in_never_pool=sample.in_never_pool[source] & sample.inside & ~sample.outside_comparison,
    )
    other = object.__new__(SealedDesign)
    known = {f.name: getattr(design, f.name) for f in fields(design)}
    known |= {name: getattr(design, name) for name in _HANDED_ON}
    known |= {"hash": getattr(design, "hash", ""), "exploratory": True}
    vars(other).update(known, aligned=replace(aligned, **moved), _sample=dealt)
    vars(other)["_wide"] = Wide(dealt.y, design._covariates)
    return other
