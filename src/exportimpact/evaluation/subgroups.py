"""For whom: the effect among the firms of each category, and what tells the categories apart.

Whether an effect differs between groups is a question about their difference: one group's effect
being significant and the other's not says nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from exportimpact._typing import Aggregation, FloatArray, IntArray
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.joint import Joint
from exportimpact.core.notebook import tables_html
from exportimpact.core.result import AGGREGATIONS, EstimationResult, check_option
from exportimpact.core.wald import WaldTest
from exportimpact.design import Design
from exportimpact.design.segments import Segment, numbers_at_base, within
from exportimpact.errors import InputError, NotIdentifiedError
from exportimpact.evaluation.comparison import (
    ESTIMATES,
    against_first,
    contrasts,
    for_drawing,
    lines_of,
    verdict,
)
from exportimpact.language import Message, message
from exportimpact.numerics.multiple import holm, step_down

Adjustment: TypeAlias = Literal["holm", "sup_t", "none"]
_COLUMNS = ["estimate", "std_error", "ci_low", "ci_high", "p_value"]
_FEW_NUMBERS = 2
_NO_CELL = "EI-I02"


@dataclass(frozen=True, eq=False, repr=False)
class Subgroups:
    """The effect in each subgroup, and the differences between subgroups.

    Attributes
    ----------
    column : str
        The baseline column that makes the subgroups.
    results : mapping of subgroup to EstimationResult
        All cells of each subgroup, from a design of its firms alone.
    whole : EstimationResult
        All cells of the design that was divided.
    by : {"simple", "event_time", "cohort", "calendar"}
        Which average is compared.
    adjust : {"holm", "sup_t", "none"}
        How p-values are adjusted for the number of subgroups.
    joint : Joint
        The averages with the covariance that they share.
    notes : tuple of Message
        Cut points, firms in no subgroup, and subgroups without an effect.
    """

    column: str
    results: Mapping[str, EstimationResult]
    whole: EstimationResult
    by: Aggregation
    adjust: Adjustment
    joint: Joint
    notes: tuple[Message, ...]

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row per subgroup.

        Parameters
        ----------
        level : float
            Coverage of each interval, of one subgroup at a time.

        Returns
        -------
        DataFrame
            outcome, subgroup, n_supported, n_comparison, estimate, std_error, ci_low, ci_high,
            p_value, p_adjusted.
        """
        rows = []
        for name, result in self.results.items():
            row = result.overall(self.by).table(level=level).iloc[0]
            counts = {"n_supported": row["n_supported"], "n_comparison": row["n_comparison"]}
            named = {"outcome": result.estimand.outcome, "subgroup": name, **counts}
            rows.append(named | {column: row[column] for column in _COLUMNS})
        frame = pd.DataFrame(rows)
        return self._adjusted(frame, np.eye(len(self.results)), None)

    def interactions(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return the effect in each subgroup less that of all others, weighted by their firms.

        Parameters
        ----------
        level : float

        Returns
        -------
        DataFrame
            outcome, subgroup, estimate, std_error, ci_low, ci_high, p_value, p_adjusted. With two
            subgroups both rows are the same comparison, and are not adjusted.
        """
        n, theta, size = len(self.results), self.joint.estimate, self.joint.size
        weights, sizes = np.eye(n), np.zeros((n, n))
        for k in range(n):
            others = np.arange(n) != k
            share = size[others] / size[others].sum()
            rest = float(share @ theta[others])
            weights[k, others] = -share
            sizes[k, others] = -(theta[others] - rest) / size[others].sum()
        names = pd.DataFrame(
            {"outcome": self.whole.estimand.outcome, "subgroup": list(self.results)}
        )
        frame = names.join(contrasts(self.joint, weights, level, sizes))
        if n == _FEW_NUMBERS:
            return frame.assign(p_adjusted=frame["p_value"])
        return self._adjusted(frame, weights, sizes)

    @cached_property
    def test(self) -> WaldTest:
        """The joint test that the effects of all subgroups are equal."""
        n = len(self.results)
        return self.joint.test(message("subgroups.equality_null", count=n), against_first(n))

    @property
    def exhibit(self) -> Exhibit:
        """The table that a forest plot draws, all supported firms last: kind "forest"."""
        estimand, whole = self.whole.estimand, self.whole.overall(self.by)
        row = whole.table().iloc[0]
        last = {c: row[c] for c in ("n_supported", "n_comparison", *_COLUMNS)}
        last |= {"outcome": estimand.outcome, "subgroup": str(message("subgroups.whole"))}
        frame = pd.concat(
            [self.table().assign(whole=False), pd.DataFrame([last | {"whole": True}])],
            ignore_index=True,
        )
        causal = self.whole.step.is_causal
        frame = for_drawing(frame, whole.estimand, causal, self._verdict)
        frame["column"] = self.column
        units = dict.fromkeys(ESTIMATES, str(frame["unit"].iloc[0]))
        return Exhibit(f"subgroups_{self.column}", "forest", frame, units, self.notes)

    @property
    def _verdict(self) -> Message:
        return verdict(self.test, "subgroups.test")

    def _adjusted(
        self, frame: pd.DataFrame, weights: FloatArray, sizes: FloatArray | None
    ) -> pd.DataFrame:
        p = frame["p_value"].to_numpy(dtype=float)
        if self.adjust == "none":
            return frame.assign(p_adjusted=p)
        if self.adjust == "holm":
            return frame.assign(p_adjusted=holm(p))
        errors = self.joint.errors(weights, sizes)
        return frame.assign(p_adjusted=step_down(p, errors.covariance, errors.df))

    def __repr__(self) -> str:
        overall = self.whole.overall(self.by)
        shown = self.table().drop(columns="outcome").head(10)
        lines = [f"Subgroups by {self.column}: {overall.estimand}"]
        lines += lines_of(shown)
        lines.append(str(self._verdict))
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines[:20])

    def _repr_html_(self) -> str:
        title = self.whole.overall(self.by).estimand
        return tables_html(title, [self.table()], self.notes, self._verdict)


def subgroups(
    estimator: Any,
    design: Design,
    by: str,
    *,
    bins: Sequence[float] | None = None,
    quantiles: Sequence[float] | None = None,
    adjust: Adjustment = "holm",
    aggregation: Aggregation = "simple",
) -> Subgroups:
    """Return the effect among the firms of each category of a baseline column.

    Supported firms of a category at their cohort's base period are compared with comparison firms
    of that category then; matching and covariate adjustment happen within the category.

    Parameters
    ----------
    estimator : estimator
    design : Design
        Of all firms. Results of subgroups are exploratory even where it is sealed, because its seal
        does not name them; seal ``design.within(column, category)`` before looking instead.
    by : str
        Baseline column.
    bins : sequence of float, optional
        Cut points of a numeric column, increasing: ``[10, 50]`` makes below 10, 10 to below 50, and
        50 or more.
    quantiles : sequence of float, optional
        Instead of `bins`: cut points at these quantiles of the supported firms' values at their
        base periods, such as ``[0.5]``.
    adjust : {"holm", "sup_t", "none"}
        Adjustment of p-values for the number of subgroups: Holm's, which holds whatever the
        dependence, or step-down from the joint multivariate t, which rejects at least as much.
    aggregation : {"simple", "event_time", "cohort", "calendar"}
        Which average of each subgroup, as in ``result.overall``.

    Returns
    -------
    Subgroups
        ``.table()``, ``.interactions()``, ``.test``, ``.results``.

    Raises
    ------
    InputError
        EI-E53 for a numeric column without cut points, or cut points that cannot be used; EI-I08
        for an unknown option; EI-P33 for a column that the panel does not have.
    NotIdentifiedError
        EI-E60 with fewer than two subgroups whose effect can be estimated.

    Notes
    -----
    Errors of differences come from the joint influence functions: firms of different subgroups are
    independent unless clusters join them or a comparison firm changes category between cohorts.
    The average of the others weights them by their supported firms, and counts that these weights
    are estimated.

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("effect_by_size").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> found = ei.subgroups(ei.did.GroupTime(), design, by="size_class")
    >>> found.table()["subgroup"].tolist()
    ['medium', 'small']
    """
    check_option("adjust", adjust, get_args(Adjustment))
    check_option("aggregation", aggregation, AGGREGATIONS)
    whole = estimator.estimate(design)
    results: dict[str, EstimationResult] = {}
    notes: list[Message] = list(_on_values(design, by, quantiles))
    for segment in _segments(design, by, bins, quantiles):
        try:
            result = estimator.estimate(within(design, segment))
            result.overall(aggregation)
        except (NotIdentifiedError, InputError) as error:
            if not isinstance(error, NotIdentifiedError) and error.code != _NO_CELL:
                raise
            values = {"column": by, "value": segment.label, "reason": error.message}
            notes.append(message("subgroups.left_out", **values))
        else:
            results[segment.label] = result
    if len(results) < _FEW_NUMBERS:
        raise _too_few(by, len(results), notes)
    how = message(f"subgroups.{adjust}")
    notes.insert(0, message("subgroups.adjusted", count=len(results), how=how))
    rows = [result.overall(aggregation) for result in results.values()]
    return Subgroups(
        column=by,
        results=MappingProxyType(results),
        whole=whole,
        by=aggregation,
        adjust=adjust,
        joint=Joint.of(rows, _strata(rows)),
        notes=tuple(notes),
    )


def _strata(rows: Sequence[EstimationResult]) -> IntArray:
    """Return a code for each cohort of each subgroup, and for its comparison firms, (n_firms,)."""
    code = np.zeros(rows[0].design.units.size, dtype=np.int64)
    start = 1
    for row in rows:
        design = row.design
        inside = design.history().usable.any(axis=1)
        code = np.where(inside & (code == 0), start + design.cohort_codes, code)
        start += len(design.cohorts) + 1
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


def _segments(
    design: Design, by: str, bins: Sequence[float] | None, quantiles: Sequence[float] | None
) -> Iterator[Segment]:
    """Yield the segments of a column that hold supported firms."""
    column = design.panel.baseline(by)
    values = numbers_at_base(design, by)
    there = np.unique(values[np.isfinite(values)])
    if column.categories is not None or there.size <= _FEW_NUMBERS:
        if bins is not None or quantiles is not None:
            raise _refused(by, "it holds categories, which are not cut. Leave bins and quantiles.")
        for code in there:
            named = float(code) if column.categories is None else column.categories[int(code)]
            yield Segment(column=by, value=named)
        return
    cuts = _cuts(by, there, values, bins, quantiles)
    for low, high in zip([None, *cuts], [*cuts, None], strict=True):
        yield Segment(column=by, at_least=low, below=high)


def _cuts(
    by: str,
    there: FloatArray,
    values: FloatArray,
    bins: Sequence[float] | None,
    quantiles: Sequence[float] | None,
) -> list[float]:
    if (bins is None) == (quantiles is None):
        raise _refused(
            by,
            f"it holds {there.size:,} different numbers among supported firms. Pass bins=[...] "
            "(cut points in its own unit) or quantiles=[...] (of the supported firms), not both.",
        )
    if quantiles is not None:
        shares = np.asarray(quantiles, dtype=float)
        if not shares.size or not ((shares > 0) & (shares < 1)).all():
            raise _refused(by, f"quantiles={list(quantiles)!r} are no shares between 0 and 1.")
        return [float(c) for c in np.unique(np.quantile(values[np.isfinite(values)], shares))]
    cuts = [float(c) for c in bins or ()]
    if not cuts or any(not low < high for low, high in pairwise(cuts)):
        raise _refused(by, f"bins={cuts!r} are no increasing cut points.")
    return cuts


def _on_values(design: Design, by: str, quantiles: Sequence[float] | None) -> Iterator[Message]:
    unknown = int(np.isnan(numbers_at_base(design, by)).sum())
    if unknown:
        yield message("subgroups.unknown", firms=unknown, column=by)
    if quantiles is not None:
        shares = ", ".join(f"{q:g}" for q in quantiles)
        yield message("subgroups.quantiles", column=by, shares=shares)


def _too_few(by: str, count: int, notes: Sequence[Message]) -> NotIdentifiedError:
    return NotIdentifiedError(
        "EI-E60",
        f"{count} subgroup(s) by {by!r} have an effect that can be estimated, so that there is "
        f"nothing to compare. {' '.join(map(str, notes))} Join subgroups that have few supported "
        "or comparison firms, or use fewer covariates.",
        column=by,
    )


def _refused(by: str, why: str) -> InputError:
    return InputError(
        "EI-E53",
        f"{by!r} does not make subgroups, so that it is not known whose effects are compared: "
        f"{why}",
        column=by,
    )
