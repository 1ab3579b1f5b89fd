"""What support does to the firms that get it, in the clean world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.synthetic.presets import Preset

_CYCLE, _ON = 4, 2


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Effect of support on log exports, in units of the preset unless said otherwise.

    Attributes
    ----------
    strength : tuple of float
        By cohort.
    path : {"flat", "growing", "preset", "on_off"}
        By year since the start: always 1; 1, 2, 3, ...; as the preset says; or 1 in the two years
        of a spell of support and `left` of it in the two years between spells.
    left : float
        What is left between spells.
    spread : float
        Standard deviation of firms' own effects, as a share of the mean effect.
    own_sd : float
        Standard deviation of what firms' own effects add to the mean, in log points.
    by_size : float
        Change of the effect per standard deviation of employees, as a share of it.
    hold_back : float
        Exports put off in the year before support, in log points.
    """

    strength: tuple[float, ...] = (1.0, 1.0, 1.0)
    path: Literal["flat", "growing", "preset", "on_off"] = "flat"
    left: float = 0.25
    spread: float = 0.0
    own_sd: float = 0.0
    by_size: float = 0.0
    hold_back: float = 0.0

    @property
    def years_of_support(self) -> tuple[int, ...]:
        """Years since the start in which a firm is supported."""
        if self.path != "on_off":
            return (0,)
        return tuple(e for e in range(100) if e % _CYCLE < _ON)

    def expected(self, preset: Preset, cohort: int, event_time: int) -> float:
        """Return the mean effect on a firm of average size."""
        shape = self._shape(preset, np.array([event_time]))[0]
        return float(self.strength[cohort] * preset.exports * shape)

    def before(self, event_time: int) -> float:
        """Return the effect in the year before the start, in log points."""
        return -self.hold_back if event_time == -1 else 0.0

    def draw(
        self,
        rng: np.random.Generator,
        preset: Preset,
        z: FloatArray,
        group: IntArray,
        start: IntArray,
        n_periods: int,
    ) -> tuple[FloatArray, FloatArray]:
        """Return effects (n_firms, n_periods), and what a firm adds to the mean (n_firms,)."""
        luck = rng.normal(0.0, 1.0, z.size)
        since = np.arange(n_periods) - start[:, None]
        supported = start < n_periods
        by_cohort = np.array([*self.strength, 0.0])[np.where(supported, group, -1)]
        of_firm = (1.0 + self.spread * luck) * preset.exports * (1.0 + self.by_size * z)
        strength = by_cohort * of_firm
        own = self.own_sd * luck
        effect = strength[:, None] * self._shape(preset, since) + own[:, None] * (since >= 0)
        before = np.where((since == -1) & supported[:, None], -self.hold_back, 0.0)
        return effect + before, own

    def _shape(self, preset: Preset, since: IntArray) -> FloatArray:
        """Return the effect by year since the start, 0 before it."""
        if self.path == "preset":
            return preset.share(since)
        if self.path == "growing":
            shape = 1.0 + since
        elif self.path == "on_off":
            shape = np.where(since % _CYCLE < _ON, 1.0, self.left)
        else:
            shape = np.ones(since.shape)
        return np.where(since >= 0, shape, 0.0)
