"""Coded errors.

Every error that the package raises on purpose is an `ExportImpactError` with a stable code. Its
message says what is wrong (with the number and an example), why it matters for the estimate, and
what to do. Each code has a page in `docs/messages/`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


class ExportImpactWarning(UserWarning):
    """Unit-dependent transforms and deprecations; facts about evidence are findings instead."""


class ExportImpactError(Exception):
    """Base of every error raised on purpose.

    Attributes
    ----------
    code : str
        Stable code such as ``"EI-P07"``; ``exportimpact explain EI-P07`` prints its page.
    details : Mapping
        The values named in the message, for programs.
    """

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message
        self.details: Mapping[str, Any] = MappingProxyType(dict(details))

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.code, self.message, dict(self.details))


def _rebuild(
    cls: type[ExportImpactError], code: str, message: str, details: dict[str, Any]
) -> ExportImpactError:
    return cls(code, message, **details)


class InputError(ExportImpactError, ValueError):
    """The data or an option cannot be used as given."""


class ColumnError(ExportImpactError, KeyError):
    """A column that was named does not exist."""


class CapabilityError(ExportImpactError, TypeError):
    """An estimator or result was asked for something that it cannot do."""


class NotIdentifiedError(ExportImpactError, ValueError):
    """The design leaves nothing from which the effect could be estimated."""


class StoredResultError(ExportImpactError, AttributeError):
    """A result loaded from JSON lacks what was asked for."""


class RunError(ExportImpactError, RuntimeError):
    """A run or a verification could not be carried out."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input, kept until all are known."""

    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


class ProblemsError(InputError):
    """Several problems of one input, raised together; `problems` lists them all."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(code, message, **details)
        self.problems: tuple[Problem, ...] = tuple(details.get("problems", ()))

    def __str__(self) -> str:
        if len(self.problems) < 2:
            return super().__str__()
        lines = [f"{len(self.problems)} problems:"]
        lines += [f"[{p.code}] {p.message}" for p in self.problems]
        return "\n".join(lines)


def raise_problems(problems: Sequence[Problem]) -> None:
    """Raise one `ProblemsError` for all `problems`, or return when there are none."""
    if problems:
        first = problems[0]
        raise ProblemsError(
            first.code, first.message, **{**first.details, "problems": tuple(problems)}
        )


def did_you_mean(name: str, available: Iterable[object]) -> str:
    """Return a hint that names the closest of the `available` names, or lists some of them."""
    names = [str(a) for a in available]
    close = difflib.get_close_matches(str(name), names, n=2, cutoff=0.5)
    if close:
        return "Did you mean " + " or ".join(repr(c) for c in close) + "?"
    shown = ", ".join(repr(n) for n in names[:8]) + (", ..." if len(names) > 8 else "")
    return f"Available: {shown}."
