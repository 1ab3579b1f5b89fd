"""Estimators by the name under which they are registered, made with the study file's parameters."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from exportimpact.core.estimator import Estimator
from exportimpact.errors import ExportImpactError, Problem, did_you_mean

GROUP = "exportimpact.estimators"

T = TypeVar("T")


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
    made: Estimator | list[tuple[str, Problem]] = built(name, known[name].load(), parameters, "id")
    return made


def built(
    name: str,
    cls: type[T],
    parameters: Mapping[str, Any],
    key: str,
    *,
    without: tuple[str, ...] = (),
) -> T | list[tuple[str, Problem]]:
    """Return an object made from keys of a study file, or what is wrong with them.

    Parameters
    ----------
    name : str
        What the study file calls the class.
    cls : type
    parameters : mapping
    key : str
        The key that names the class: a problem that is no single parameter's stands there.
    without : tuple of str
        Parameters that a study file cannot give.
    """
    if wrong := _wrong_parameters(name, cls, parameters, without):
        return wrong
    try:
        return cls(**{key: _plain(value) for key, value in parameters.items()})
    except (ExportImpactError, TypeError, ValueError) as error:
        return [(key, _refused(name, str(error)))]


def _wrong_parameters(
    name: str, cls: type, parameters: Mapping[str, Any], without: tuple[str, ...]
) -> list[tuple[str, Problem]]:
    allowed = [key for key in inspect.signature(cls).parameters if key not in without]
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
