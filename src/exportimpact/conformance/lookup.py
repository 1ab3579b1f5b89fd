"""Estimators by name: MODULE:CLASS on the import path, or all that are registered."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields, is_dataclass
from importlib.metadata import entry_points
from typing import Any, get_args, get_type_hints

from exportimpact.conformance.roster import arrangements, matched_only
from exportimpact.conformance.subject import require_estimator
from exportimpact.errors import InputError, did_you_mean

GROUP = "exportimpact.estimators"


def find(name: str) -> Any:
    """Return an instance, with its defaults, of the estimator named MODULE:CLASS.

    Raises
    ------
    InputError
        EI-C01 when module or class cannot be found, or the class needs arguments.
    CapabilityError
        EI-C02 when it is not an estimator.
    """
    module, _, attribute = name.partition(":")
    if not module or not attribute:
        raise _unknown(name, "write the module, a colon, and the class, such as my_did:MyEstimator")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        why = f"the module cannot be imported ({error}); run from its folder or install it"
        raise _unknown(name, why) from error
    except Exception as error:  # a stranger's file may raise anything while it is read
        why = f"the module stops with {type(error).__name__}: {error}; mend it and run again"
        raise _unknown(name, why) from error
    if not hasattr(found, attribute):
        classes = [n for n, value in vars(found).items() if hasattr(value, "spec")]
        raise _unknown(name, f"the module has no {attribute!r}. {did_you_mean(attribute, classes)}")
    thing = getattr(found, attribute)
    try:
        return require_estimator(thing() if isinstance(thing, type) else thing)
    except TypeError as error:
        if getattr(error, "code", ""):
            raise
        why = f"{attribute}() needs arguments ({error}); name a module-level instance instead"
        raise _unknown(name, why) from error


def builtin() -> tuple[Any, ...]:
    """Return every registered estimator, with each value of its one `Literal` option, by name.

    Estimators of matched designs come with the matchers that they are certified on; those that need
    a column of the user's are left out, since no scenario has it.

    An option that is one of a few words is part of the method: each word is another estimator on
    the scoreboard.
    """
    found: list[Any] = []
    for point in sorted(entry_points(group=GROUP), key=lambda p: p.name):
        cls = point.load()
        if cls in matched_only() or _needs_arguments(cls):
            continue
        default = cls()
        variants = _variants(cls)
        found.append(default)
        found += [v for v in variants if v != default]
    return (*found, *arrangements())


def _needs_arguments(cls: type) -> bool:
    """Return whether nothing can be made without naming a column of the user's."""
    empty = inspect.Parameter.empty
    return any(option.default is empty for option in inspect.signature(cls).parameters.values())


def _variants(cls: type) -> list[Any]:
    if not is_dataclass(cls):
        return []
    hints = get_type_hints(cls)
    made = []
    for option in fields(cls):
        words = get_args(hints[option.name])
        if words and all(isinstance(word, str) for word in words):
            made += [cls(**{option.name: word}) for word in words]
    return made


def _unknown(name: str, why: str) -> InputError:
    return InputError(
        "EI-C01",
        f"No estimator can be made from {name!r}, so that there is nothing to put through the "
        f"suite: {why}.",
        name=name,
    )
