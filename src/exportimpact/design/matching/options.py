"""Options of matchers: refused with a code when they cannot mean anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from exportimpact.errors import InputError, did_you_mean


def names(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return one name or several as a tuple."""
    return (value,) if isinstance(value, str) else tuple(value)


def choice(option: str, value: object, allowed: Iterable[str]) -> None:
    """Refuse a word that is not an option."""
    if value not in tuple(allowed):
        raise InputError(
            "EI-M01",
            f"{option}={value!r} is unknown; it decides which firms are compared. "
            f"{did_you_mean(str(value), allowed)}",
            option=option,
            value=value,
        )


def whole(option: str, value: object, least: int = 1) -> None:
    """Refuse what is not a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InputError(
            "EI-M02",
            f"{option}={value!r} must be a whole number of at least {least}; it decides how many "
            "firms stand in for a supported firm.",
            option=option,
            value=value,
        )


def positive(option: str, value: object) -> None:
    """Refuse what is not a positive number; None is no limit."""
    wrong = isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0
    if value is not None and wrong:
        raise InputError(
            "EI-M02",
            f"{option}={value!r} must be a positive number: it is the largest difference between "
            "matched firms. Leave it out for no limit.",
            option=option,
            value=value,
        )


def mapping(option: str, value: Any) -> Mapping[str, Any]:
    """Return a mapping from column to limit as a dict of its own."""
    if not isinstance(value, Mapping):
        raise InputError(
            "EI-M02",
            f"{option}={value!r} must map columns to numbers, such as {option}="
            '{"employees": 10}; otherwise it is not known what each number limits.',
            option=option,
        )
    return dict(value)


def described(matcher: object) -> dict[str, Any]:
    """Return a matcher's name and options as plain values, for the seal and the manifest."""
    found: dict[str, Any] = {"matcher": type(matcher).__name__}
    if is_dataclass(matcher):
        found |= {f.name: _plain(getattr(matcher, f.name)) for f in fields(matcher)}
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in sorted(value.items())}
    if isinstance(value, (tuple, list)):
        return [_plain(v) for v in value]
    if hasattr(value, "get_params"):
        given = {str(k): _plain(v) for k, v in sorted(value.get_params(deep=False).items())}
        return {"classifier": type(value).__name__, **given}
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    return repr(value)
