"""Estimators by the name under which they are registered, made with the study file's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, get_args, get_origin, get_type_hints

from exportimpact.core.estimator import Estimator
from exportimpact.errors import ExportImpactError, Problem, did_you_mean

GROUP = "exportimpact.estimators"


def registered() -> dict[str, EntryPoint]:
    """Return every registered estimator, the package's own and those of others, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


def make(name: str, parameters: Mapping[str, Any]) -> Estimator | list[tuple[str, Problem]]:
    """Return the estimator, or what is wrong: the offending key with its problem."""
    known = registered()
    if name not in known:
        problem = Problem(
            "EI-S08",
            f"no estimator is registered as {name!r}; the evaluation would lack this rung. "
            + did_you_mean(name, sorted(known)),
            {"estimator": name},
        )
        return [("id", problem)]
    cls = known[name].load()
    if wrong := _wrong_parameters(name, cls, parameters):
        return wrong
    try:
        made: Estimator = cls(**{key: _plain(value) for key, value in parameters.items()})
    except (ExportImpactError, TypeError, ValueError) as error:
        return [("id", _refused(name, str(error)))]
    return made


def _wrong_parameters(
    name: str, cls: type, parameters: Mapping[str, Any]
) -> list[tuple[str, Problem]]:
    allowed = list(inspect.signature(cls).parameters)
    hints = get_type_hints(cls)
    found = []
    for key, value in parameters.items():
        if key not in allowed:
            hint = did_you_mean(key, allowed) if allowed else "It takes none."
            text = f"{name!r} has no parameter {key!r}, so that it would not do what is meant."
            found.append((key, Problem("EI-S09", f"{text} {hint}", {"parameter": key})))
        elif (reason := _mismatch(value, hints.get(key, Any))) is not None:
            text = f"{name!r} cannot take {key} = {value!r}: {reason}."
            found.append((key, Problem("EI-S09", text, {"parameter": key, "value": value})))
    return found


def _mismatch(value: Any, hint: Any) -> str | None:
    """Say why a value does not fit a type, as far as pydantic can tell."""
    from pydantic import PydanticSchemaGenerationError, TypeAdapter, ValidationError

    try:
        adapter = TypeAdapter(hint)
    except PydanticSchemaGenerationError:
        return None
    try:
        adapter.validate_python(_plain(value), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        choices = get_args(hint) if get_origin(hint) is not None else ()
        if isinstance(value, str) and choices and all(isinstance(c, str) for c in choices):
            return did_you_mean(value, choices).rstrip(".")
        reason = first["msg"]
        return reason[0].lower() + reason[1:]
    return None


def _refused(name: str, reason: str) -> Problem:
    return Problem("EI-S09", f"{name!r} refuses its parameters: {reason}", {"estimator": name})


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
