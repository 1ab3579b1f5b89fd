"""Do effects differ that a method holds equal: one number where support is staggered.

The effects of all cohorts and periods, each from firms that are not supported then, are tested for
equality. Negative weights of the regression are a concern of their own: with them its number can
have the opposite sign of every effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from exportimpact._typing import FloatArray, Verdict
from exportimpact.core.cellset import CellSet
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.finding import Finding
from exportimpact.core.result import EstimationResult
from exportimpact.core.wald import WaldTest, linear_test
from exportimpact.errors import NotIdentifiedError
from exportimpact.estimators.did.group_time import GroupTime
from exportimpact.language import message

CONTRADICTED = 0.05
NEGATIVE = -0.01
_SOURCE = (
    "package convention: p below 0.05 contradicts; negative weights of 0.01 or more in all are a "
    "concern (de Chaisemartin & D'Haultfoeuille 2020, "
    "doi:10.1257/aer.20181169)"
)


@diagnostic(
    id="equal_effects",
    assumption="homogeneous_effects",
    needs="result",
    threshold_source=_SOURCE,
)
def equal_effects(design: Any, result: EstimationResult) -> Iterator[Finding]:
    """Return whether effects that the result holds equal differ by cohort or period.

    A quiet answer speaks to no assumption: small differences, and differences among the firms of a
    cohort, do not show.
    """
    about = "homogeneous_effects"
    if about not in result.provenance.requires.names():
        return
    test = _test(design, by_time=result.estimand.common == "event_time")
    if test is None or test.p_value is None or test.statistic is None:
        why = message("test.one_effect") if test is None else test.reason
        text = message("finding.effects_not_compared", why=why)
        yield Finding("equal_effects", "NOT_APPLICABLE", text, about, threshold_source=_SOURCE)
        return
    negative, total = _negative_weights(result)
    verdict, words = _read(test.p_value, total)
    text = message(
        f"finding.{words}",
        cells=test.null.values["cells"],
        statistic=test.statistic,
        p=test.p_value,
        negative=negative,
        sum=total,
    )
    spoken = None if verdict == "SUPPORTS" else about
    statistic = test.statistic
    yield Finding("equal_effects", verdict, text, spoken, statistic, threshold_source=_SOURCE)


def _read(p_value: float, negative: float) -> tuple[Verdict, str]:
    if p_value < CONTRADICTED:
        return "CONTRADICTS", "effects_differ"
    if negative <= NEGATIVE:
        return "CONCERN", "negative_weights"
    return "SUPPORTS", "effects_alike"


def _test(design: Any, *, by_time: bool) -> WaldTest | None:
    """Return the test of equal effects, None where there are no two effects to compare."""
    try:
        cells = GroupTime(adjust="none").estimate(design).cells
    except NotIdentifiedError:
        return None
    usable = (cells.index.event_time >= 0) & ~cells.thin
    null = "test.equal_by_time_null" if by_time else "test.equal_null"
    contrasts = _within(cells, usable) if by_time else _neighbours(np.flatnonzero(usable), cells)
    if not len(contrasts):
        return None
    test = linear_test(cells, contrasts, message(null, cells=int(usable.sum())))
    if test.applies or by_time:
        return test
    # Too many cells for the firms there are: compare the means by time since support.
    means = _means(cells, usable)
    coarse = means[1:] - means[:-1]
    return linear_test(cells, coarse, message(null, cells=len(means))) if len(coarse) else test


def _neighbours(chosen: Any, cells: CellSet) -> FloatArray:
    """Return the differences between neighbours of some cells, (k - 1, n_cells)."""
    pick = np.eye(len(cells.index))[chosen]
    return np.asarray(pick[1:] - pick[:-1])


def _within(cells: CellSet, usable: Any) -> FloatArray:
    """Return the differences between cohorts at the same time since support."""
    times = cells.index.event_time
    parts = [
        _neighbours(np.flatnonzero(usable & (times == e)), cells) for e in np.unique(times[usable])
    ]
    return np.concatenate([*parts, np.zeros((0, len(cells.index)))])


def _means(cells: CellSet, usable: Any) -> FloatArray:
    """Return the mean effect by time since support, weighted by cohort size."""
    times, size = cells.index.event_time, cells.design_sizes.value
    rows = np.stack([np.where(usable & (times == e), size, 0.0) for e in np.unique(times[usable])])
    return np.asarray(rows / rows.sum(axis=1, keepdims=True))


def _negative_weights(result: EstimationResult) -> tuple[int, float]:
    """Return how many of the regression's weights are negative, and their sum."""
    for exhibit in result.own_exhibits:
        if exhibit.kind == "twfe_weights":
            weight = exhibit.table["weight"].to_numpy(dtype=float)
            return int((weight < 0).sum()), float(weight[weight < 0].sum())
    return 0, 0.0
