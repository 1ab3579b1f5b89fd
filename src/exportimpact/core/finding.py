"""Findings of diagnostics: a verdict with its statistic and the source of its threshold."""

from __future__ import annotations

from dataclasses import dataclass

from exportimpact._typing import Verdict
from exportimpact.core.notebook import Shown
from exportimpact.language import Message


@dataclass(frozen=True)
class Finding(Shown):
    """What one diagnostic found.

    Attributes
    ----------
    id : str
        The diagnostic.
    verdict : {"SUPPORTS", "CONCERN", "CONTRADICTS", "NOT_APPLICABLE", "NOT_RUN"}
        A diagnostic that was not run never counts in favour.
    message : Message
        What was found, in words.
    assumption : str, optional
        The assumption that it speaks to.
    statistic, threshold : float, optional
        The number and what it is held against.
    threshold_source : str
        Where the threshold comes from; ``"package convention"`` when from nowhere else.
    outcome, estimator : str, optional
        What was diagnosed; the estimator is None for a finding on the design.
    """

    id: str
    verdict: Verdict
    message: Message
    assumption: str | None = None
    statistic: float | None = None
    threshold: float | None = None
    threshold_source: str = ""
    outcome: str | None = None
    estimator: str | None = None

    def __str__(self) -> str:
        return f"{self.verdict}: {self.message}"


def judged(good: bool) -> Verdict:
    """Return SUPPORTS where the statistic is on the good side of its threshold, else CONCERN."""
    return "SUPPORTS" if good else "CONCERN"
