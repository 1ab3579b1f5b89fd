"""How supported and comparison firms belong together: in pairs, in strata, or by weights alone.

Every form answers one question: given who is observed in a comparison, what does each firm weigh?
Weights of supported firms are their own (sampling) weights; those of comparison firms add up to
those of the supported firms that they stand in for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray


class Form(Protocol):
    """What a matcher made of a risk set."""

    def weights(self, seen: BoolArray) -> FloatArray:
        """Return the weight of every unit, (n,), when only the units `seen` are observed."""
        ...


@dataclass(frozen=True, eq=False)
class Paired:
    """Pairs of a supported and a comparison firm; a firm may be in several.

    Attributes
    ----------
    supported, comparison : (n_pairs,) units of the risk set
    distance : (n_pairs,)
    share : (n_pairs,)
        Share of the pair in its supported firm's match.
    base : (n,)
        Sampling weights of the units.
    """

    supported: IntArray
    comparison: IntArray
    distance: FloatArray
    share: FloatArray
    base: FloatArray

    def weights(self, seen: BoolArray) -> FloatArray:
        """Return weights; a supported firm none of whose matches is seen weighs nothing."""
        n = self.base.size
        share = self.share * self.base[self.comparison]
        share = np.where(seen[self.supported] & seen[self.comparison], share, 0.0)
        total = np.bincount(self.supported, share, n)
        matched = total > 0
        out = np.where(matched, self.base, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.where(share > 0, share / total[self.supported], 0.0)
        return out + np.bincount(self.comparison, part * self.base[self.supported], n)


@dataclass(frozen=True, eq=False)
class Stratified:
    """Strata within which all firms stand for one another.

    Attributes
    ----------
    code : (n,)
        Stratum of each unit, -1 outside all of them.
    is_supported : (n,)
    base : (n,)
    """

    code: IntArray
    is_supported: FloatArray
    base: FloatArray

    def weights(self, seen: BoolArray) -> FloatArray:
        """Return weights; strata that lack a side weigh nothing."""
        inside = seen & (self.code >= 0)
        code = np.where(inside, self.code, 0)
        n = int(self.code.max(initial=0)) + 1
        own = np.where(inside, self.base, 0.0)
        supported = np.bincount(code, own * self.is_supported, n)
        others = np.bincount(code, own * (1 - self.is_supported), n)
        both = (supported > 0) & (others > 0)
        factor = np.where(both, supported / np.where(both, others, 1.0), 0.0)
        scale = np.where(self.is_supported > 0, both[code].astype(float), factor[code])
        weights: FloatArray = own * scale
        return weights


@dataclass(frozen=True, eq=False)
class Weighted:
    """Weights of their own.

    Attributes
    ----------
    value : (n,)
    """

    value: FloatArray

    def weights(self, seen: BoolArray) -> FloatArray:
        """Return the weights of those who are seen."""
        return np.where(seen, self.value, 0.0)
