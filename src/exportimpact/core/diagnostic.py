"""The registry of diagnostics: functions that return findings on a design or a result.

Built-in diagnostics register through the same entry-point group (`exportimpact.diagnostics`) as
those of other packages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypeAlias

from exportimpact.core.assumption import ASSUMPTIONS
from exportimpact.core.finding import Finding
from exportimpact.errors import InputError, did_you_mean

Check: TypeAlias = Callable[..., Finding | Iterable[Finding]]
GROUP = "exportimpact.diagnostics"


@dataclass(frozen=True)
class DiagnosticSpec:
    """A registered diagnostic: what it speaks to, what it needs, its threshold's source."""

    id: str
    assumption: str | None
    needs: Literal["design", "result"]
    threshold_source: str
    check: Check


_REGISTRY: dict[str, DiagnosticSpec] = {}


def diagnostic(
    *,
    id: str,
    assumption: str | None,
    needs: Literal["design", "result"],
    threshold_source: str,
) -> Callable[[Check], Check]:
    """Register ``check(design)`` or ``check(design, result)`` as a diagnostic.

    Parameters
    ----------
    id : str
    assumption : str or None
        The assumption that it speaks to.
    needs : {"design", "result"}
    threshold_source : str
        A reference, or ``"package convention"``.

    Raises
    ------
    InputError
        EI-E01 for an unknown assumption, EI-E07 when the id is taken by another function.
    """
    if assumption is not None and assumption not in ASSUMPTIONS:
        raise InputError(
            "EI-E01",
            f"Unknown assumption {assumption!r}: a check registered for it could never be found. "
            + did_you_mean(assumption, sorted(ASSUMPTIONS)),
            assumption=assumption,
        )

    def register(check: Check) -> Check:
        taken = _REGISTRY.get(id)
        if taken is not None and taken.check.__qualname__ != check.__qualname__:
            raise InputError(
                "EI-E07",
                f"The diagnostic id {id!r} is taken by {taken.check.__module__}; two findings of "
                "one name could not be told apart in a report. Choose another id.",
                id=id,
            )
        _REGISTRY[id] = DiagnosticSpec(id, assumption, needs, threshold_source, check)
        return check

    return register


def registered(needs: Literal["design", "result"] | None = None) -> tuple[DiagnosticSpec, ...]:
    """Return the registered diagnostics, built-in and third-party, by id."""
    _load()
    found = (spec for spec in _REGISTRY.values() if needs in (None, spec.needs))
    return tuple(sorted(found, key=lambda spec: spec.id))


def run(needs: Literal["design", "result"], *arguments: Any) -> tuple[Finding, ...]:
    """Run every diagnostic of a kind and return its findings."""
    findings: list[Finding] = []
    for spec in registered(needs):
        found = spec.check(*arguments)
        findings.extend([found] if isinstance(found, Finding) else found)
    return tuple(findings)


@cache
def _load() -> None:
    for point in entry_points(group=GROUP):
        point.load()
