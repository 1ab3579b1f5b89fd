"""How far trends may differ before an effect is no longer told from zero.

Parallel trends cannot be tested after support, and a quiet test before it proves little. Rambachan
& Roth (2023), doi:10.1093/restud/rdad018, ask instead what the interval becomes when trends may
differ by a stated amount, and by how much they may differ until it takes in zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtri

from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.notebook import tables_html
from exportimpact.core.result import EstimationResult, check_level
from exportimpact.errors import InputError, did_you_mean
from exportimpact.inference.event_path import EventPath, Target, event_path, require_freedom
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import t_quantile
from exportimpact.numerics.relative_magnitudes import Interval, relative_magnitudes_interval
from exportimpact.numerics.smoothness import fixed_length_interval

Restriction: TypeAlias = Literal["relative_magnitudes", "smoothness"]
Distribution: TypeAlias = Literal["t", "normal"]
MAGNITUDES = (0.5, 1.0, 1.5, 2.0)
BENDS = (0.0, 0.25, 0.5, 1.0)
"""Multiples of the largest change of slope before support."""
_PRECISION = 1e-3
_DOUBLINGS = 40


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Sensitivity:
    """Intervals of an effect when trends may differ, from `exportimpact.sensitivity`.

    Attributes
    ----------
    restriction : {"relative_magnitudes", "smoothness"}
    values : tuple of float
        Of Mbar, or of M.
    target : {"first", "average"} or an event time
    level : float
    distribution : {"t", "normal"}
    path : EventPath
        The effects by event time that were used.
    estimand : Estimand
    grid : tuple of (low, high) or None
    notes : tuple of Message
    """

    restriction: Restriction
    values: tuple[float, ...]
    target: Target
    level: float
    distribution: Distribution
    path: EventPath
    estimand: Estimand
    grid: tuple[float, float] | None
    notes: tuple[Message, ...]

    def table(self) -> pd.DataFrame:
        """Return one row per value, the interval under parallel trends first.

        Returns
        -------
        DataFrame
            outcome, target, restriction, value, estimate, ci_low, ci_high, excludes_zero,
            at_grid_end. `estimate` is the middle of the interval with `restriction="smoothness"`,
            which is centred on the effect less what the periods before support predict.
            `at_grid_end` says that an end is the end of the grid and not of the interval.
        """
        return self._frame.drop(columns=["low_open", "high_open"])

    @cached_property
    def breakdown(self) -> float | None:
        """The largest value at which the interval excludes zero, to 0.1 %.

        None when it takes in zero already at 0, infinity when it excludes zero at every value.
        """

        def margin(value: float) -> float:
            _, found = self._at(value)
            return max(found.low, -found.high)

        if margin(0.0) <= 0:
            return None
        low, high = 0.0, self._scale / 8
        for _ in range(_DOUBLINGS):
            if margin(high) <= 0:
                return float(brentq(margin, low, high, xtol=_PRECISION * high))
            low, high = high, 2 * high
        return float("inf")

    @property
    def exhibit(self) -> Exhibit:
        """The table with what a figure has to say: kind "sensitivity"."""
        frame = self._frame.copy()
        breakdown = self.breakdown
        frame["breakdown"] = np.nan if breakdown is None else breakdown
        frame["level"] = self.level
        frame["scale"] = self.estimand.scale
        frame["unit"] = self.estimand.unit
        frame["effect"] = str(self._effect)
        frame["said"] = str(self._verdict)
        name = f"sensitivity_{self.restriction}_{self.target}"
        units = dict.fromkeys(("estimate", "ci_low", "ci_high"), self.estimand.unit or "")
        return Exhibit(name, "sensitivity", frame, units, self.notes)

    @cached_property
    def _frame(self) -> pd.DataFrame:
        path = self.path
        df = np.array([path.df if self.distribution == "t" else np.inf])
        half = float(t_quantile(0.5 + self.level / 2, df)[0]) * path.std_error
        plain = Interval(path.effect - half, path.effect + half)
        rows = [self._row("parallel_trends", np.nan, path.effect, plain)]
        for value in self.values:
            rows.append(self._row(self.restriction, value, *self._at(value)))
        return pd.DataFrame(rows)

    def _row(
        self, restriction: str, value: float, estimate: float, found: Interval
    ) -> dict[str, object]:
        return {
            "outcome": self.estimand.outcome,
            "target": str(self.target),
            "restriction": restriction,
            "value": value,
            "estimate": estimate,
            "ci_low": found.low,
            "ci_high": found.high,
            "excludes_zero": _excludes_zero(found),
            "at_grid_end": found.low_open or found.high_open,
            "low_open": found.low_open,
            "high_open": found.high_open,
        }

    def _at(self, value: float) -> tuple[float, Interval]:
        """Return the estimate and the interval at a value."""
        path, n_before = self.path, len(self.path.before)
        weights = n_before - 1 if self.restriction == "smoothness" else 0
        df = path.least_df if self.distribution == "t" else np.inf
        wider = widening(df, weights, self.level)
        study = (path.estimate, wider**2 * path.covariance, n_before, path.weights, value)
        if self.restriction == "smoothness":
            fixed = fixed_length_interval(*study, level=self.level)
            return fixed.estimate, Interval(fixed.low, fixed.high)
        found = relative_magnitudes_interval(*study, level=self.level, grid=self.grid)
        return path.effect, found

    @property
    def _scale(self) -> float:
        return 1.0 if self.restriction == "relative_magnitudes" else _yardstick(self.path)

    @property
    def _verdict(self) -> Message:
        value = self.breakdown
        if value is None:
            return message(f"sensitivity.never_{self.restriction}")
        if np.isinf(value):
            return message("sensitivity.always")
        return message(f"sensitivity.until_{self.restriction}", value=value)

    def __repr__(self) -> str:
        shown = self.table().drop(columns=["outcome", "target"])
        lines = [str(self._title)]
        lines += (
            shown.head(10)
            .to_string(index=False, float_format=lambda v: f"{v:.4g}", na_rep="")
            .splitlines()
        )
        if len(shown) > 10:
            lines.append(str(message("sensitivity.more", rows=len(shown) - 10)))
        lines.append(str(self._verdict))
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines[:20])

    def _repr_html_(self) -> str:
        return tables_html(self._title, [self.table()], self.notes, self._verdict)

    @property
    def _title(self) -> Message:
        outcome, effect = self.estimand.outcome, self._effect
        return message(f"sensitivity.{self.restriction}", outcome=outcome, effect=effect)

    @property
    def _effect(self) -> Message:
        named = self.target in ("first", "average")
        return message(f"sensitivity.{self.target if named else 'time'}", time=self.target)


def sensitivity(
    result: EstimationResult,
    *,
    restriction: Restriction = "relative_magnitudes",
    values: Sequence[float] | None = None,
    target: Target = "first",
    level: float = 0.95,
    distribution: Distribution = "t",
    grid: tuple[float, float] | None = None,
) -> Sensitivity:
    """Return intervals of an effect when supported and comparison firms' trends may differ.

    Parameters
    ----------
    result : EstimationResult
        Of the difference-in-differences family, with effects before support: cells, or
        ``result.aggregate("event_time", ...)``, which chooses event times and cohorts.
    restriction : {"relative_magnitudes", "smoothness"}
        How far trends may differ. "relative_magnitudes": from one period to the next after the
        reference period by at most Mbar times the largest change between successive periods up to
        it; the interval inverts the conditional least-favourable hybrid test. "smoothness": their
        slope changes by at most M from one period to the next, so that 0 extrapolates a linear
        difference; the interval is the fixed-length one.
    values : sequence of float, optional
        Of Mbar (default 0.5, 1, 1.5, 2), or of M in units of the estimates per period (default 0,
        0.5, 1 and 2 times the largest change of slope before support; with one period before
        support, times the effect's standard error).
    target : {"first", "average"} or int
        The effect of interest: at event time 0, the plain mean over event times from 0 on, or at
        one event time.
    level : float
    distribution : {"t", "normal"}
        The paper's intervals hold for many firms and take estimates as normal. "t" widens the
        covariance by the squared ratio of Student's to the normal quantile at the fewest
        degrees of freedom of the effect and of those before support, so that no interval is
        narrower than the package's own where no departure is allowed. The weights of the
        fixed-length interval are estimated from that covariance as well, which `widening` counts.
        With few clusters both matter: 8 against 9 clusters and 4 periods before support make the
        normal interval for M = 0 cover 85 % instead of 95 %. "normal" is the paper's.
    grid : (low, high), optional
        For relative magnitudes: look no further than this for the ends of the interval. When not
        given, the grid reaches to where the test's first stage rejects, and never ends too early.

    Returns
    -------
    Sensitivity
        ``.table()``, ``.breakdown`` and ``.exhibit``, which `ei.plot.sensitivity` draws.

    Raises
    ------
    CapabilityError
        EI-I20 for a result that does not rest on parallel trends, EI-I21 for rows that are not by
        event time, EI-I22 when effects have no common reference period.
    NotIdentifiedError
        EI-I23 without an effect before support, EI-I25 for a singular covariance,
        or one with too few degrees of freedom.
    InputError
        EI-I24 for an effect that is not estimated, EI-I26 for options that cannot be used, EI-I08
        for a level.

    Notes
    -----
    The reference period (the last before support and the anticipation window) is zero by
    construction and counts as such. Event times that are beyond a gap, or without an error, are
    left out. The restrictions are on averages over cohorts at each event time, whose make-up
    changes with event time; ``result.aggregate("event_time", balance=...)`` holds it more nearly
    fixed after support. Units are those of the estimates: log points for logs.

    References
    ----------
    Rambachan & Roth (2023), doi:10.1093/restud/rdad018; Andrews, Roth & Pakes (2023),
    doi:10.1093/restud/rdad004

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=600, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> found = ei.sensitivity(ei.did.GroupTime().estimate(design), values=[0, 0.5, 1])
    >>> found.table()[["restriction", "value", "ci_low", "ci_high"]].round(2)
               restriction  value  ci_low  ci_high
    0      parallel_trends    NaN   -0.03     0.09
    1  relative_magnitudes    0.0   -0.03     0.09
    2  relative_magnitudes    0.5   -0.07     0.13
    3  relative_magnitudes    1.0   -0.13     0.18
    """
    check_level(level)
    _known("restriction", restriction, get_args(Restriction))
    _known("distribution", distribution, get_args(Distribution))
    path = event_path(result, target)
    if restriction == "smoothness" and distribution == "t":
        require_freedom(path)
    if values is None:
        scale = _yardstick(path)
        bends = tuple(scale * bend for bend in BENDS)
        values = MAGNITUDES if restriction == "relative_magnitudes" else bends
    _check_grid(grid, restriction, path.effect)
    return Sensitivity(
        restriction=restriction,
        values=_checked(values),
        target=target,
        level=level,
        distribution=distribution,
        path=path,
        estimand=result.estimand,
        grid=grid,
        notes=tuple(_notes(path, distribution)),
    )


def widening(df: float, weights: int, level: float) -> float:
    """Return by what normal intervals are widened where the covariance is estimated.

    Student's quantile over the normal one. Where q `weights` are estimated by generalised least
    squares from a covariance with nu degrees of freedom, the variance of the estimate is larger by
    (nu - 1) / (nu - q - 1), is estimated too small by (nu - q) / nu, and nu - q degrees of freedom
    are left. This is right for M = 0, and wider than needed where bias binds the weights.

    Parameters
    ----------
    df : float
        Infinity gives 1.
    weights : int
        Below `df` - 1.
    level : float

    Examples
    --------
    >>> round(widening(15, 0, 0.95), 3), round(widening(15, 3, 0.95), 3)
    (1.087, 1.402)
    """
    if np.isinf(df):
        return 1.0
    left = df - weights
    quantile = float(t_quantile(0.5 + level / 2, np.array([left]))[0])
    lost = df * (df - 1) / (left * (left - 1))
    return quantile / float(ndtri(0.5 + level / 2)) * float(np.sqrt(lost))


def _yardstick(path: EventPath) -> float:
    return path.largest_bend or path.std_error


def _excludes_zero(found: Interval) -> bool:
    return bool(found.low > 0 or found.high < 0)


def _notes(path: EventPath, distribution: Distribution) -> list[Message]:
    def listed(times: tuple[int, ...]) -> str:
        return ", ".join(map(str, times))

    notes = [message("sensitivity.used", before=listed(path.before), after=listed(path.after))]
    if path.left_out:
        notes.append(message("sensitivity.left_out", times=listed(path.left_out)))
    if distribution == "t":
        notes.append(message("sensitivity.freedom", df=path.least_df))
    return notes


def _known(option: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(
            "EI-I26",
            f"{option}={value!r} is unknown; it decides what the interval allows for. "
            f"{did_you_mean(str(value), allowed)}",
            option=option,
        )


def _checked(values: Sequence[float]) -> tuple[float, ...]:
    found = np.atleast_1d(np.asarray(values, dtype=float))
    if found.ndim != 1 or not found.size or not (np.isfinite(found) & (found >= 0)).all():
        raise InputError(
            "EI-I26",
            f"values={values!r} must be finite numbers of at least 0: each is how far trends may "
            "differ. Write values=[0.5, 1, 2].",
            option="values",
        )
    return tuple(float(value) for value in found)


def _check_grid(grid: tuple[float, float] | None, restriction: str, effect: float) -> None:
    if grid is None:
        return
    if restriction != "relative_magnitudes" or not grid[0] < effect < grid[1]:
        raise InputError(
            "EI-I26",
            f"grid={grid!r} must hold the estimate ({effect:.4g}) and serves relative magnitudes "
            "alone: it is where the ends of the interval are looked for. Leave it out to look as "
            "far as the interval reaches.",
            option="grid",
        )
