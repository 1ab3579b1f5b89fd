"""Numbers as text: as many digits as their error allows, with separators, signs and units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exportimpact._typing import Scale
from exportimpact.language import message

MISSING = "–"
_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_MOST_DECIMALS = 8


@dataclass(frozen=True)
class EffectText:
    """An effect and its interval as text; `text` has the unit."""

    effect: str
    low: str
    high: str
    unit: str

    @property
    def text(self) -> str:
        """The effect with its unit."""
        return with_unit(self.effect, self.unit)

    @property
    def interval(self) -> str:
        """The interval in words, with the unit once."""
        if MISSING in (self.low, self.high):
            return MISSING
        return with_unit(f"{self.low} to {self.high}", self.unit)


def decimals(error: float) -> int:
    """Return the decimals that show two significant digits of an error.

    Examples
    --------
    >>> decimals(0.0143), decimals(143.0)
    (3, 0)
    """
    if not (math.isfinite(error) and error > 0):
        return 3
    return min(max(1 - math.floor(math.log10(error)), 0), _MOST_DECIMALS)


def number(value: float, places: int, *, sign: bool = False) -> str:
    """Return a number with thousands separators and a true minus; missing is a dash."""
    if not math.isfinite(value):
        return MISSING
    rounded = round(value, places) + 0.0  # no negative zero
    text = f"{rounded:{'+' if sign and rounded else ''},.{places}f}"
    return text.replace("-", _MINUS)


def significant(value: float, digits: int = 3) -> str:
    """Return a number to `digits` significant digits, never in exponents.

    Examples
    --------
    >>> significant(0.012345), significant(1234567.0)
    ('0.0123', '1,234,567')
    """
    if not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return number(value, min(max(places, 0), _MOST_DECIMALS))


def p_text(value: float) -> str:
    """Return a p-value to three decimals, or that it is smaller.

    Examples
    --------
    >>> p_text(0.0312), p_text(1e-9)
    ('0.031', '<0.001')
    """
    if not math.isfinite(value):
        return MISSING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


POINTS = "pp"
"""The unit in which probabilities are shown; stored tables hold shares."""


def with_unit(text: str, unit: str) -> str:
    """Return text and unit, not to be torn apart at the end of a line."""
    return f"{text}{_SPACE}{unit}" if unit and text != MISSING else text


def own_unit(scale: Scale, unit: str | None) -> str:
    """Return what effects of an outcome are measured in."""
    if scale in {"log", "logged"}:
        return str(message("report.unit_log"))
    if scale == "binary":
        return POINTS
    return unit or str(message("report.unit_unknown"))


def own_factor(scale: Scale) -> float:
    """Return what turns an estimate into the unit that it is shown in: 100 for probabilities."""
    return 100.0 if scale == "binary" else 1.0


def own_text(row: Mapping[str, Any], scale: Scale, unit: str | None) -> EffectText:
    """Return the effect of a row (estimate, std_error, ci_low, ci_high) in the outcome's unit."""
    factor = own_factor(scale)
    places = decimals(factor * float(row["std_error"]))
    shown = [
        number(factor * float(row[c]), places, sign=True) for c in ("estimate", "ci_low", "ci_high")
    ]
    return EffectText(shown[0], shown[1], shown[2], own_unit(scale, unit))


def percent_text(row: Mapping[str, Any]) -> EffectText:
    """Return the effect of a row (percent, percent_low, percent_high, percent_unit) in percent."""
    low, high = float(row["percent_low"]), float(row["percent_high"])
    places = min(decimals((high - low) / 4), 2)
    shown = [
        number(float(row[c]), places, sign=True) for c in ("percent", "percent_low", "percent_high")
    ]
    return EffectText(shown[0], shown[1], shown[2], str(row["percent_unit"]))


def best_text(row: Mapping[str, Any], scale: Scale, unit: str | None) -> EffectText:
    """Return the effect in percent where that is defined, otherwise in the outcome's unit."""
    relative = percent_text(row)
    return own_text(row, scale, unit) if relative.effect == MISSING else relative
