"""Several estimators of one effect, side by side, with the error of what tells them apart.

Estimates from the same firms move together, so that the difference of two of them is known far
better than either. Its error comes from the joint influence functions; treating the estimates as
independent would hide that they disagree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, Literal

import numpy as np
import pandas as pd

from exportimpact._typing import Aggregation, FloatArray
from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.joint import Joint, first_periods
from exportimpact.core.notebook import tables_html
from exportimpact.core.result import EstimationResult, check_option
from exportimpact.core.wald import WaldTest
from exportimpact.errors import InputError
from exportimpact.evaluation.ladder import variants
from exportimpact.evaluation.quantities import own_factor, own_text, own_unit, p_text
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import t_quantile, t_two_sided

_COLUMNS = ["estimate", "std_error", "ci_low", "ci_high", "p_value", "n_supported", "n_comparison"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Several results as one effect, and the differences between them.

    Attributes
    ----------
    names : tuple of str
        What each result is called.
    results : tuple of EstimationResult
        One row each, over the cells that are compared.
    joint : Joint
        The rows with the covariance that they share.
    cells : {"common", "own"}
        Whether every row is over the cells that all results have.
    left_out : mapping of name to tuple of (cohort, period)
        Cells since support that were left out because not all results have them.
    notes : tuple of Message
        What a reader must know: cells left out, rows about different firms.
    """

    names: tuple[str, ...]
    results: tuple[EstimationResult, ...]
    joint: Joint
    cells: Literal["common", "own"]
    left_out: Mapping[str, tuple[tuple[int, int], ...]]
    notes: tuple[Message, ...]

    @property
    def estimand(self) -> Estimand:
        """The effect of the first result; the others are named where theirs is another."""
        return self.results[0].estimand

    @cached_property
    def test(self) -> WaldTest:
        """The joint test that all estimates are equal, on as many differences as there are."""
        null = message("test.equality_null", count=len(self.results))
        return self.joint.test(null, against_first(len(self.results)))

    def covariance(self) -> FloatArray:
        """Return the covariance of the estimates, (n, n)."""
        return self.joint.errors(np.eye(len(self.results))).covariance

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row per result.

        Parameters
        ----------
        level : float
            Coverage of the interval.

        Returns
        -------
        DataFrame
            estimator (its name here), outcome, step, estimate, std_error, ci_low, ci_high, p_value,
            n_supported, n_comparison.
        """
        rows = []
        for name, result in zip(self.names, self.results, strict=True):
            row = result.table(level=level).iloc[0]
            named = {"estimator": name, "outcome": self.estimand.outcome, "step": str(result.step)}
            rows.append(named | {column: row[column] for column in _COLUMNS})
        return pd.DataFrame(rows)

    def differences(
        self, to: Literal["first", "each"] = "first", *, level: float = 0.95
    ) -> pd.DataFrame:
        """Return the differences between the estimates.

        Parameters
        ----------
        to : {"first", "each"}
            Of every other result to the first, or of every pair.
        level : float
            Coverage of the interval.

        Returns
        -------
        DataFrame
            estimator, reference, estimate (of the first less the reference's), std_error, ci_low,
            ci_high, p_value, and the correlation of the two. Where two estimates are the same from
            the same firms, but for rounding, the error is 0 and there is no p-value.
        """
        n = len(self.results)
        check_option("to", to, ("first", "each"))
        pairs = [(k, 0) for k in range(1, n)]
        if to == "each":
            pairs = [(b, a) for a, b in combinations(range(n), 2)]
        weights = np.zeros((len(pairs), n))
        for row, (k, reference) in enumerate(pairs):
            weights[row, k], weights[row, reference] = 1.0, -1.0
        covariance = self.covariance()
        scale = np.sqrt(np.diagonal(covariance))
        frame = pd.DataFrame(
            {
                "estimator": [self.names[k] for k, _ in pairs],
                "reference": [self.names[r] for _, r in pairs],
            }
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            related = [covariance[k, r] / (scale[k] * scale[r]) for k, r in pairs]
        return frame.join(contrasts(self.joint, weights, level)).assign(correlation=related)

    @property
    def exhibit(self) -> Exhibit:
        """The table that a figure draws: kind "comparison"."""
        causal = [result.step.is_causal for result in self.results]
        frame = for_drawing(self.table(), self.estimand, causal, self._verdict)
        units = dict.fromkeys(ESTIMATES, str(frame["unit"].iloc[0]))
        notes = (self._verdict, *self.notes)
        return Exhibit("comparison", "comparison", frame, units, notes)

    @property
    def _verdict(self) -> Message:
        return verdict(self.test, "compare.test")

    def __repr__(self) -> str:
        shown = self.table().drop(columns=["outcome", "p_value"]).head(6)
        apart = self.differences().drop(columns=["reference", "ci_low", "ci_high"]).head(4)
        lines = [f"Comparison: {self.estimand}"]
        lines += lines_of(shown)
        lines += ["Differences to the first:", *lines_of(apart)]
        lines.append(str(self._verdict))
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines[:20])

    def _repr_html_(self) -> str:
        tables = [self.table(), self.differences()]
        return tables_html(self.estimand, tables, self.notes, self._verdict)


def compare(
    results: Iterable[EstimationResult] | Mapping[str, EstimationResult],
    by: Aggregation = "simple",
    *,
    cells: Literal["common", "own"] = "common",
    weights: Literal["design", "observed"] = "design",
) -> Comparison:
    """Return several results as one effect, with the covariance across them.

    Parameters
    ----------
    results : sequence, or mapping of name to EstimationResult
        Cells, as estimators return them, on the same panel, outcome and support. Their designs may
        differ in comparison firms, matching or covariates.
    by : {"simple", "event_time", "cohort", "calendar"}
        Which average, as in ``result.overall(by)``.
    cells : {"common", "own"}
        Only the cohort x period cells that all results have, so that the average is the same, or
        each result's own.
    weights : {"design", "observed"}
        As in ``result.overall``.

    Returns
    -------
    Comparison
        ``.table()``, ``.differences()``, ``.test``.

    Raises
    ------
    InputError
        EI-E50 for fewer than two results, EI-E51 for results that do not share panel, outcome and
        support, EI-E52 when no cell is common to all, EI-I08 for an unknown option.
    StoredResultError
        EI-I04 for a result read from JSON.
    CapabilityError
        EI-I03 for a result that is an aggregate already.

    Notes
    -----
    The covariance is sum psi psi' / n^2 with the influence functions psi of all results, summed
    within clusters where the panel has them; below 50 clusters, or 20 on a side in any result, it
    is computed within cohorts for all. The joint test is an F test with the degrees of freedom of
    Nel & van der Merwe (1986), doi:10.1080/03610928608829342, on the differences that are linearly
    independent.

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> both = [ei.did.GroupTime().estimate(design), ei.matched.Benchmark().estimate(design)]
    >>> ei.compare(both).differences()[["estimator", "reference"]].values.tolist()
    [['Benchmark against typical firms (not causal)', 'Group-time difference-in-differences']]
    """
    given = list(results.values()) if isinstance(results, Mapping) else list(results)
    _check(given, cells)
    names = tuple(map(str, results)) if isinstance(results, Mapping) else _names(given)
    wanted = _common(given) if cells == "common" else None
    if wanted is not None and not wanted:
        raise InputError(
            "EI-E52",
            f"No cohort x period cell since support is common to all {len(given)} results, so that "
            "there is no effect that all of them estimate. Leave out the result with the fewest "
            'cells, or pass cells="own" to compare averages over different cells.',
            results=names,
        )
    rows = tuple(r.overall(by, weights=weights, cells=wanted) for r in given)
    left = {} if wanted is None else _left_out(names, given, wanted)
    return Comparison(
        names=names,
        results=rows,
        joint=Joint.of(rows),
        cells=cells,
        left_out=left,
        notes=tuple(_notes(names, given, rows, left)),
    )


def contrasts(
    joint: Joint, weights: FloatArray, level: float, size_weights: FloatArray | None = None
) -> pd.DataFrame:
    """Return estimate, std_error, ci_low, ci_high and p_value of differences between rows.

    Parameters
    ----------
    joint : Joint
    weights : (n_out, n)
        Of the rows' estimates; how the differences move with them.
    level : float
    size_weights : (n_out, n), optional
        How they move with the rows' sizes.
    """
    errors, estimate = joint.errors(weights, size_weights), weights @ joint.estimate
    half = t_quantile(0.5 + level / 2, errors.df) * errors.std_error
    moving = errors.std_error > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = t_two_sided(estimate / errors.std_error, errors.df)
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": errors.std_error,
            "ci_low": np.where(errors.std_error == 0, estimate, estimate - half),
            "ci_high": np.where(errors.std_error == 0, estimate, estimate + half),
            "p_value": np.where(moving, p_value, np.nan),
        }
    )


ESTIMATES = ("estimate", "std_error", "ci_low", "ci_high")
"""Columns in the outcome's unit."""


def for_drawing(
    frame: pd.DataFrame, estimand: Estimand, causal: bool | list[bool], test: Message
) -> pd.DataFrame:
    """Return a table of estimates with what a figure of them says."""
    scale, unit = estimand.scale, estimand.unit
    texts = [
        own_text({str(k): v for k, v in row.items()}, scale, unit) for _, row in frame.iterrows()
    ]
    return frame.assign(
        shown=[f"{t.text}  ({t.interval})" for t in texts],
        causal=causal,
        unit=own_unit(scale, unit),
        factor=own_factor(scale),
        estimand=str(estimand),
        test=str(test),
    )


def verdict(test: WaldTest, id: str) -> Message:
    """Return the message `id` with the test's p-value, or why there is none."""
    if test.p_value is None:
        assert test.reason is not None
        return test.reason
    return message(id, p_value=p_text(test.p_value))


def lines_of(frame: pd.DataFrame) -> list[str]:
    """Return a table as lines of text, numbers to four significant digits."""
    return frame.to_string(index=False, float_format=lambda v: f"{v:.4g}").splitlines()


def against_first(n: int) -> FloatArray:
    """Return the differences of n estimates to the first, (n - 1, n)."""
    return np.column_stack([-np.ones(n - 1), np.eye(n - 1)])


def _check(given: list[Any], cells: str) -> None:
    check_option("cells", cells, ("common", "own"))
    if len(given) < 2 or not all(isinstance(r, EstimationResult) for r in given):
        kinds = ", ".join(sorted({type(r).__name__ for r in given})) or "nothing"
        raise InputError(
            "EI-E50",
            f"A comparison takes two results or more; got {len(given)} object(s): {kinds}. With "
            "one there is nothing to compare with. Pass a list of what estimators return: "
            "ei.compare([a.estimate(design), b.estimate(design)]).",
            got=len(given),
        )
    first = given[0]
    for other in given[1:]:
        differing = _differing(first, other)
        if differing:
            raise InputError(
                "EI-E51",
                f"The results {first.provenance.title!r} and {other.provenance.title!r} do not "
                f"share the {differing}, so that they are not about one effect and their errors "
                "cannot be put together by firm. Estimate both on designs of one panel, one "
                "outcome and one support.",
                differing=differing,
            )


def _differing(a: EstimationResult, b: EstimationResult) -> str:
    mine, other = a.provenance.settings, b.provenance.settings
    if mine.get("panel") != other.get("panel"):
        return "panel"
    if (a.estimand.outcome, a.estimand.scale) != (b.estimand.outcome, b.estimand.scale):
        return "outcome"
    if mine.get("programme") != other.get("programme"):
        return "support"
    if a.design is None or b.design is None:
        return ""
    first = [first_periods(d) for d in (a.design, b.design)]
    apart = (first[0] != first[1]) & (first[0] > 0) & (first[1] > 0)
    return "support" if apart.any() else ""


def _names(results: list[EstimationResult]) -> tuple[str, ...]:
    names: list[str] = []
    for result, (variant, _) in zip(results, variants(results), strict=True):
        title = result.provenance.title
        name = f"{title} ({variant})" if variant else title
        again = sum(n == name or n.startswith(f"{name} [") for n in names)
        names.append(f"{name} [{again + 1}]" if again else name)
    return tuple(names)


def _common(results: list[EstimationResult]) -> frozenset[tuple[int, int]]:
    after = [{(g, t) for g, t in r.estimand.cells if t >= g} for r in results]
    return frozenset(set.intersection(*after))


def _left_out(
    names: tuple[str, ...], results: list[EstimationResult], wanted: frozenset[tuple[int, int]]
) -> dict[str, tuple[tuple[int, int], ...]]:
    left = {
        name: tuple(c for c in result.estimand.cells if c[1] >= c[0] and c not in wanted)
        for name, result in zip(names, results, strict=True)
    }
    return {name: cells for name, cells in left.items() if cells}


def _notes(
    names: tuple[str, ...],
    results: list[EstimationResult],
    rows: tuple[EstimationResult, ...],
    left: Mapping[str, tuple[tuple[int, int], ...]],
) -> Iterable[Message]:
    labels = results[0].labels
    for name, cells in left.items():
        listed = ", ".join(f"{labels.get(g, g)} in {labels.get(t, t)}" for g, t in cells[:5])
        more = ", ..." if len(cells) > 5 else ""
        yield message("compare.left_out", name=name, cells=len(cells), listed=listed + more)
    first = rows[0].estimand
    for name, row in zip(names[1:], rows[1:], strict=True):
        other = row.estimand
        if other.cells != first.cells:
            yield message("compare.other_cells", name=name, first=names[0])
        mine = (first.firms, first.kept, first.segment, first.reference)
        if (other.firms, other.kept, other.segment, other.reference) != mine:
            yield message("compare.other_firms", name=name, first=names[0], estimand=str(other))
