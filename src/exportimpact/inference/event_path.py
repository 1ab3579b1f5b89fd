"""Effects period by period on either side of the reference period, and one effect of interest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.core.aggregation import plain_mean
from exportimpact.core.assumption import GROWTH, TRENDS
from exportimpact.core.result import EstimationResult
from exportimpact.errors import CapabilityError, InputError, NotIdentifiedError

Target: TypeAlias = Literal["first", "average"] | int
_SINGULAR = 1e-10


@dataclass(frozen=True, eq=False, repr=False)
class EventPath:
    """Effects by event time in an unbroken run around the reference period.

    Attributes
    ----------
    before, after : tuple of event times, in order
    left_out : tuple of event times
        That lie beyond a gap, or have no error.
    estimate : (n_before + n_after,)
    covariance : (n_before + n_after, n_before + n_after)
    weights : (n_after,)
        Of the effect of interest.
    effect, std_error, df : float
        Of the effect of interest.
    least_df : float
        The fewest degrees of freedom of that effect and of those before support.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    left_out: tuple[int, ...]
    estimate: FloatArray
    covariance: FloatArray
    weights: FloatArray
    effect: float
    std_error: float
    df: float
    least_df: float

    @property
    def largest_bend(self) -> float | None:
        """The largest change of slope before support, None with one period there."""
        path = np.append(self.estimate[: len(self.before)], 0.0)
        return float(np.abs(np.diff(path, n=2)).max()) if path.size > 2 else None


def event_path(result: EstimationResult, target: Target) -> EventPath:
    """Return the effects by event time of a result.

    Parameters
    ----------
    result : EstimationResult
        Cells, or their aggregate by event time.
    target : {"first", "average"} or an event time

    Raises
    ------
    CapabilityError
        EI-I20, EI-I21, EI-I22
    NotIdentifiedError
        EI-I23, EI-I25
    InputError
        EI-I24
    """
    reference = _check(result)
    path = result if result.rows is not None else result.aggregate("event_time")
    assert path.rows is not None
    rows, cells = path.rows, path.cells
    times = np.array(rows.keys, dtype=np.int64)
    if reference in times:
        raise _no_common_reference(f"the reference period ({reference}) has an estimate itself")
    errors = cells.errors(cells.gradient(rows), rows)
    usable = ~errors.thin & np.isfinite(np.diagonal(errors.covariance))
    place = {int(times[i]): int(i) for i in np.flatnonzero(usable)}
    step = result.provenance.step_length
    before = tuple(reversed(_run(place, reference, -step)))
    after = _run(place, reference, step)
    wanted = _wanted(target, times, usable, after)
    if not before:
        raise _nothing_before(reference, times)
    used = [place[e] for e in (*before, *after)]
    one = plain_mean(rows, [place[e] for e in wanted])
    of_one = cells.errors(cells.gradient(one), one)
    covariance = errors.covariance[np.ix_(used, used)]
    _check_covariance(covariance)
    return EventPath(
        before=before,
        after=after,
        left_out=tuple(int(e) for e in times if e not in (*before, *after)),
        estimate=(rows.weights @ cells.estimate)[used],
        covariance=covariance,
        weights=np.isin(after, wanted) / len(wanted),
        effect=float((one.weights @ cells.estimate)[0]),
        std_error=float(of_one.std_error[0]),
        df=float(of_one.df[0]),
        least_df=float(min(of_one.df[0], *errors.df[used[: len(before)]])),
    )


def _check(result: object) -> int:
    """Return the event time of the one reference period of a result that has one."""
    trends = isinstance(result, EstimationResult) and bool(
        result.provenance.requires.names() & (TRENDS | GROWTH)
    )
    if not isinstance(result, EstimationResult) or not trends:
        what = f"a {type(result).__name__}"
        if isinstance(result, EstimationResult):
            what = f"a result that requires {result.provenance.requires}"
        raise CapabilityError(
            "EI-I20",
            f"sensitivity takes a result that rests on parallel trends, not {what}; there is no "
            "trend that could be allowed to differ. Pass a result of the difference-in-differences "
            "family; for matched designs see the findings on hidden bias of ei.diagnose.",
        )
    by = result.estimand.aggregation
    if result.rows is not None and (result.estimand.overall or by != "event_time"):
        raise CapabilityError(
            "EI-I21",
            f"The result holds rows aggregated by {by}, which do not say how effects moved before "
            "support. Pass the result of the estimator, or result.aggregate("
            '"event_time").',
            aggregation=by,
        )
    settings = result.provenance.settings
    if settings.get("base", "universal") != "universal":
        raise _no_common_reference('base="varying" measures each period against the one before it')
    if result.estimand.per_unit:
        raise _no_common_reference("effects are divided by doses that differ between periods")
    return -result.provenance.anticipation - result.provenance.step_length


def _no_common_reference(why: str) -> CapabilityError:
    return CapabilityError(
        "EI-I22",
        f"Effects before and after support are not differences from one reference period: {why}. "
        "What trends did before support then says nothing about the size of the bias after it. "
        'Use ei.Design(base="universal") and GroupTime, Stacked, Saturated(leads=True) or '
        "Intertemporal without normalisation.",
        why=why,
    )


def _nothing_before(reference: int, times: IntArray) -> NotIdentifiedError:
    earlier = [int(e) for e in times if e < reference]
    found = f"the ones at {', '.join(map(str, earlier))} do not reach it" if earlier else "none"
    return NotIdentifiedError(
        "EI-I23",
        f"There is no estimated effect with an error in the period before the reference period "
        f"({reference}): {found}. How far trends differed before support is the yardstick for how "
        "far they may differ after it. Add earlier periods to the panel, or an estimator with "
        "effects before support (GroupTime; leads=True of the saturated models).",
        reference=reference,
    )


def _run(place: dict[int, int], start: int, step: int) -> tuple[int, ...]:
    """Return the event times from `start`, itself left out, as far as none is missing."""
    found: list[int] = []
    while start + step in place:
        start += step
        found.append(start)
    return tuple(found)


def _wanted(
    target: Target, times: IntArray, usable: BoolArray, after: tuple[int, ...]
) -> tuple[int, ...]:
    """Return the event times whose mean effect is of interest."""
    whole = isinstance(target, (int, np.integer)) and not isinstance(target, bool)
    if not whole and target not in ("first", "average"):
        raise _no_target(target, "it is neither an event time nor one of these words", after)
    if target == "average":
        wanted = tuple(int(e) for e in times if e >= 0)
    else:
        wanted = (0 if target == "first" else int(target),)
    missing = [e for e in wanted if e not in after]
    if missing or not wanted:
        known = times[usable].tolist()
        why = f"event time {missing[0]}" if missing else "an event time since support"
        gone = "lies beyond a gap" if missing and missing[0] in known else "has no estimate with"
        gone += "" if gone.endswith("gap") else " an error after the reference period"
        raise _no_target(target, f"{why} {gone}", after)
    return wanted


def _no_target(target: object, why: str, after: tuple[int, ...]) -> InputError:
    shown = ", ".join(map(str, after)) or "none"
    return InputError(
        "EI-I24",
        f"target={target!r} cannot be used: {why}. Trends are followed period by period from the "
        f'reference period to the effect of interest. Use "first", "average" or one of: {shown}; '
        'result.aggregate("event_time", max=...) leaves later periods out of the average.',
        target=target,
    )


def require_freedom(path: EventPath) -> None:
    """Refuse to choose weights by a covariance with fewer degrees of freedom than weights; EI-I25.

    Parameters
    ----------
    path : EventPath
    """
    n = len(path.before)
    if path.least_df <= n:
        raise _tied(
            path.estimate.size,
            f"has {path.least_df:.3g} degrees of freedom for {n} effects before support",
        )


def _check_covariance(covariance: FloatArray) -> None:
    scale = np.sqrt(np.clip(np.diagonal(covariance), 0.0, None))
    flat = int((scale <= 0).sum())
    if flat:
        raise _tied(scale.size, f"is singular: {flat} of them have no variance")
    if np.linalg.eigvalsh(covariance / np.outer(scale, scale))[0] <= _SINGULAR:
        raise _tied(scale.size, "is singular: some are tied to others")


def _tied(effects: int, what: str) -> NotIdentifiedError:
    return NotIdentifiedError(
        "EI-I25",
        f"The covariance of the {effects} effects by event time {what}. A combination of them "
        "would count as known without error. This happens when the outcome does not move before "
        "support, or when there are about as few clusters as effects. Use another outcome, or "
        'fewer event times: result.aggregate("event_time", min=..., max=...).',
        effects=effects,
    )
