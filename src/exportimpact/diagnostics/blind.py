"""What a method declares that it cannot see, so that a report prints it beside what was checked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding
from exportimpact.core.result import EstimationResult
from exportimpact.language import message


@diagnostic(
    id="blind_to", assumption=None, needs="result", threshold_source="declared by the estimator"
)
def blind_to(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return one finding, never run, for each required assumption that the method cannot see."""
    for assumption, reason in result.provenance.blind_to.items():
        text = message("finding.blind", reason=reason)
        yield Finding(f"blind_to_{assumption}", "NOT_RUN", text, assumption)
