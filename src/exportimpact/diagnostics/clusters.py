"""Are errors computed at the level at which support was assigned, and from enough clusters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import IntArray
from exportimpact.core.cellset import FEW_CLUSTERS, FEW_CLUSTERS_PER_SIDE
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding, judged
from exportimpact.core.result import EstimationResult
from exportimpact.design.levels import clustered_high_enough, starts_differ
from exportimpact.language import message

MAX_SHARE = 0.5
_ABOUT = "independent_clusters"
_ABADIE = "Abadie, Athey, Imbens & Wooldridge (2023), doi:10.1093/qje/qjac038"


@diagnostic(id="assignment_level", assumption=_ABOUT, needs="design", threshold_source=_ABADIE)
def assignment_level(design: Any) -> Iterator[Finding]:
    """Return whether errors are clustered where support was assigned, as declared."""
    level = design.assigned_at
    if level is None:
        text = message("finding.level_not_declared")
        yield Finding("assignment_level", "NOT_RUN", text, _ABOUT, threshold_source=_ABADIE)
        return
    cluster = design.panel.cluster or "firm"
    good = clustered_high_enough(design)
    text = message(
        "finding.level_right" if good else "finding.level_low", level=level, cluster=cluster
    )
    yield Finding("assignment_level", judged(good), text, _ABOUT, threshold_source=_ABADIE)
    apart, groups = starts_differ(design)
    text = message(
        "finding.starts_apart" if apart else "finding.starts_together",
        level=level,
        apart=apart,
        groups=groups,
    )
    yield Finding(
        "assignment_together",
        judged(not apart),
        text,
        _ABOUT,
        float(apart),
        0.0,
        "package convention",
    )


@diagnostic(
    id="few_clusters",
    assumption=None,
    needs="result",
    threshold_source="Cameron & Miller (2015), doi:10.3368/jhr.50.2.317",
)
def few_clusters(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return whether there are enough clusters, and none that holds most supported firms.

    Few clusters make errors uncertain; they say nothing on whether clusters are independent.
    """
    codes = design.cluster_codes
    if codes is None:
        return
    source = "Cameron & Miller (2015), doi:10.3368/jhr.50.2.317"
    counts = result.cells.counts
    least = int(min(counts.supported_clusters.min(), counts.comparison_clusters.min()))
    total = result.cells.moments.n_members
    few = result.cells.few_clusters
    text = message(
        "finding.few_clusters" if few else "finding.enough_clusters",
        total=total,
        least=least,
        needed=FEW_CLUSTERS,
        side=FEW_CLUSTERS_PER_SIDE,
    )
    yield Finding(
        "few_clusters",
        judged(not few),
        text,
        None,
        float(least),
        float(FEW_CLUSTERS_PER_SIDE),
        source,
    )
    supported = np.concatenate([design.members(g) for g in design.cohorts])
    compared = np.unique(np.concatenate([cell.comparison for cell in design.cells()] or [[]]))
    for side, firms in (("supported", supported), ("comparison", compared.astype(np.int64))):
        yield _largest(design, codes, side, firms)


def _largest(design: Any, codes: IntArray, side: str, firms: IntArray) -> Finding:
    held = np.bincount(codes[firms], minlength=1)
    share = float(held.max() / max(held.sum(), 1))
    label = str(design.panel.cluster_labels[int(held.argmax())])
    big = share > MAX_SHARE
    text = message(
        "finding.one_big_cluster" if big else "finding.no_big_cluster",
        cluster=label,
        percent=100 * share,
        side=side,
    )
    return Finding(
        "largest_cluster" if side == "supported" else "largest_comparison_cluster",
        judged(not big),
        text,
        None,
        share,
        MAX_SHARE,
        "package convention",
    )
