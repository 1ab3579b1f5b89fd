"""A check that an estimator is put through, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from exportimpact.conformance.subject import Subject

Status: TypeAlias = Literal["passed", "failed", "skipped", "expected_fail"]
Group: TypeAlias = Literal["api", "invariances", "statistics", "honesty", "documents"]
STATUSES: tuple[Status, ...] = ("passed", "failed", "skipped", "expected_fail")
GROUPS: tuple[Group, ...] = ("api", "invariances", "statistics", "honesty", "documents")


@dataclass(frozen=True)
class Ruling:
    """What came of a check.

    Attributes
    ----------
    status : {"passed", "failed", "skipped", "expected_fail"}
    reason : str
        Why; never empty unless passed.
    numbers : Mapping of str to float
        What was measured, and the band that it was held against.
    """

    status: Status
    reason: str = ""
    numbers: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


def passed(reason: str = "", numbers: Mapping[str, float] | None = None) -> Ruling:
    """Return that the estimator does what the check demands."""
    return Ruling("passed", reason, MappingProxyType(dict(numbers or {})))


def failed(reason: str, numbers: Mapping[str, float] | None = None) -> Ruling:
    """Return that it does not, and how far off it is."""
    return Ruling("failed", reason, MappingProxyType(dict(numbers or {})))


def skipped(reason: str) -> Ruling:
    """Return that the check does not apply or did not run, and why."""
    return Ruling("skipped", reason)


def expected_fail(reason: str, numbers: Mapping[str, float] | None = None) -> Ruling:
    """Return that the check cannot be met yet by anyone, and what is missing."""
    return Ruling("expected_fail", reason, MappingProxyType(dict(numbers or {})))


def held(problem: str) -> Ruling:
    """Return passed without a problem, failed with one."""
    return failed(problem) if problem else passed()


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes
    ----------
    id : str
        ``group.name``, with the scenario in brackets where there is one.
    group : {"api", "invariances", "statistics", "honesty", "documents"}
    demands : str
        What must hold, with its band.
    examine : callable
        From a subject to a ruling.
    """

    id: str
    group: Group
    demands: str
    examine: Callable[[Subject], Ruling] = field(repr=False)

    def rule(self, subject: Subject) -> Ruling:
        """Return the ruling; an exception that no check expects is a failure.

        Parameters
        ----------
        subject : Subject
            The estimator with its tier and its replications.
        """
        try:
            return self.examine(subject)
        except Exception as error:  # whatever a stranger's estimator raises is its failure
            return failed(f"{type(error).__name__}: {error}")

    def __call__(self, estimator: Any) -> None:
        """Put `estimator` through the check inside pytest, in the quick tier.

        Raises
        ------
        AssertionError
            When the check fails. Skips and expected failures are pytest's own.
        """
        import pytest

        from exportimpact.conformance.subject import subject_of

        ruling = self.rule(subject_of(estimator))
        if ruling.status == "failed":
            raise AssertionError(f"{self.id}: {ruling.reason}\nDemanded: {self.demands}")
        if ruling.status == "skipped":
            pytest.skip(ruling.reason)
        if ruling.status == "expected_fail":
            pytest.xfail(ruling.reason)
