"""How many firms export, and how much: the two margins of an effect on exports with zeros.

The comparison of matched firms in levels gives three things that need no more than the match: the
total effect on the mean, the effect on the share of exporters (extensive margin), and an exact
decomposition of the total. How much more exporters export (intensive margin) is another matter: the
exporters of the two sides are different firms where support made some of them exporters. Their
difference is shown and not causal by itself; for firms that export with and without support Lee's
(2009) bounds hold where selection into exporting is monotone.

Several cells are taken together before anything is computed: the firm-periods of a cell weigh as
much as its cohort has supported firms, so that the total is the "simple" average of the cells'
effects, one direction of selection is estimated and not one for each cell, and always-exporters are
firm-periods. Errors go through the cells, by which the influence of matching and of estimated
weights, clusters and cohort sizes are counted as for any other estimate.

References
----------
Lee (2009), doi:10.1111/j.1467-937X.2009.00536.x; Imbens & Manski (2004),
doi:10.1111/j.1468-0262.2004.00555.x; for directions that differ by category Semenova (2020),
doi:10.48550/arXiv.2008.12720
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from exportimpact._typing import AnyArray, FloatArray, IntArray
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.cellset import Errors
from exportimpact.core.estimator import as_sealed
from exportimpact.core.result import EstimationResult
from exportimpact.core.step import Step
from exportimpact.errors import CapabilityError, InputError, NotIdentifiedError
from exportimpact.estimators.matched.margin_rows import MarginRow, Margins
from exportimpact.estimators.matched.weighting import Weighting
from exportimpact.language import Message, message
from exportimpact.numerics import lee
from exportimpact.numerics.distributions import t_quantile, t_two_sided
from exportimpact.numerics.influence import Block, Influence
from exportimpact.numerics.lee import Bounds, Contrast
from exportimpact.numerics.margins import contrasts

_FIRST = ("total", "extensive", "intensive_raw")
_ADD_UP = ("extensive_part", "intensive_part", "extensive_at_comparison_mean",
           "intensive_at_supported_share", "extensive_at_supported_mean",
           "intensive_at_comparison_share")  # fmt: skip
_AMONG = {"intensive_raw", "intensive_low", "intensive_high", "log_raw", "log_low", "log_high"}
"""Rows to which exporters alone contribute."""
_LEVEL = 0.95
_ROUNDING = 1e-12
"""Of shares: below it a difference is rounding, and has no sign."""


def margins(
    design: Any,
    *,
    event_time: int | None = None,
    tighten: str | None = None,
    randomised: bool = False,
) -> Margins:
    """Return total effect, extensive and intensive margin with Lee's bounds, and what adds up.

    Parameters
    ----------
    design : Design or SealedDesign
        Its outcome in levels with zeros, and matched or weighted with `Design.match`.
    event_time : int, optional
        Time since first support; the average over all cells since support when not given.
    tighten : str, optional
        Categorical baseline column, read at the base period. Selection then has to be monotone
        within each category only, and the bounds are averages over categories: never wider, apart
        from sampling error, and narrower where categories differ.
    randomised : bool
        Whether support was drawn by lot, so that firms are comparable without a match. It is for
        the user to say; nothing in the data can.

    Returns
    -------
    Margins

    Raises
    ------
    CapabilityError
        EI-E10 for what is no design, EI-E55 for one that is neither matched nor randomised.
    InputError
        EI-E56 when the outcome is not in levels of zero and above.
    NotIdentifiedError
        EI-E57 without a cell since support (at this event time), EI-E58 without exporters on a
        side, EI-E59 when no category has exporters on both sides.
    ColumnError
        EI-P33 when `tighten` is no baseline column.

    Notes
    -----
    Requires unconfoundedness given what was matched on, overlap and no anticipation; the bounds
    also monotone selection: support moves no firm into exporting while it moves others out of it.
    A firm that has closed is one that does not export, unless the outcome says otherwise. The
    bounds hold for the mean of any outcome, but where participation hardly moves their direction is
    a matter of chance, and intervals are wide rather than narrow there.

    References
    ----------
    Lee (2009), doi:10.1111/j.1467-937X.2009.00536.x; Imbens & Manski (2004),
    doi:10.1111/j.1468-0262.2004.00555.x

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("voucher").draw(n_firms=600, n_periods=8, seed=1)
    >>> panel = ei.Panel.from_frame(
    ...     bench.frame,
    ...     unit="firm_id",
    ...     period="year",
    ...     outcomes=[ei.Outcome("exports", unit="KRW m")],
    ...     baseline=["size", "stage"],
    ...     exit="closed",
    ... )
    >>> design = ei.Design(panel, bench.support, outcome="exports", covariates=["size", "stage"])
    >>> found = ei.margins(design.match(ei.matching.EntropyBalancing()), event_time=1)
    >>> list(found.table()["quantity"])[:3]
    ['total', 'extensive', 'intensive_raw']
    """
    sealed = as_sealed(design, "ei.margins")
    _check_design(sealed, randomised=randomised)
    pool = Pooled.of(sealed, event_time, tighten)
    _check_outcome(pool)
    found, bounds = _estimated(pool, tighten)
    result = pool.result(found["total"], event_time)
    rows = pool.rows_of(found, result)
    by_category = pool.by_category(result) if tighten else ()
    return Margins(
        estimand=result.estimand,
        step=Step.VI if randomised and not _matched(sealed) else result.step,
        rows=rows,
        by_category=by_category,
        tighten=tighten,
        trimmed=bounds.trimmed,
        assumptions=_assumptions(rows, tighten, randomised=randomised),
        notes=(*_notes(pool, rows, by_category, bounds, tighten), *result.notes),
    )


@dataclass(frozen=True, eq=False)
class Pooled:
    """The cells' firm-periods in one sample, every array in the order of the cells' rows.

    Attributes
    ----------
    design : sealed design
    cells : tuple of Cell
    rows : (n,) firms
    y, d : (n,)
        Outcome in levels, and whether supported.
    within : (n,)
        Weights that sum to 1 on each side of each cell.
    w : (n,)
        Weights that sum to 1 on each side, cells in proportion to their cohorts.
    group : (n,) codes of categories
    names : tuple of the categories' names
    """

    design: Any
    cells: tuple[Cell, ...]
    rows: IntArray
    y: FloatArray
    d: FloatArray
    within: FloatArray
    w: FloatArray
    group: IntArray
    names: tuple[str, ...]

    @classmethod
    def of(cls, design: Any, event_time: int | None, tighten: str | None) -> Pooled:
        """Return the sample of the cells since support, or of one event time."""
        since = [cell for cell in design.cells() if cell.event_time >= 0]
        cells = [cell for cell in since if event_time in (None, cell.event_time)]
        cells.sort(key=lambda cell: (cell.cohort, cell.period))
        if not cells:
            raise _no_cell(event_time, since)
        wide = design.wide()
        share = np.array([design.member_weights(cell.cohort).sum() for cell in cells])
        within = [_sides_to_one(cell) for cell in cells]
        parts = zip(share / share.sum(), within, strict=True)
        group, names = _groups(design, cells, tighten)
        return cls(
            design=design,
            cells=tuple(cells),
            rows=np.concatenate([cell.rows for cell in cells]),
            y=np.concatenate([wide.level(cell) for cell in cells]),
            d=np.concatenate([cell.is_supported for cell in cells]),
            within=np.concatenate(within),
            w=np.concatenate([part * own for part, own in parts]),
            group=group,
            names=names,
        )

    def result(self, total: Contrast, event_time: int | None) -> EstimationResult:
        """Return the total effect, one row."""
        cells = CellBuilder(self.design, Weighting(change=False), event_time=event_time)
        for cell, part in zip(self.cells, self._parts(), strict=True):
            mean, psi = self._share(total, part)
            cells.add(cell, estimate=mean, influence=psi, sampled=True)
        return cells.result().overall("simple")

    def rows_of(
        self, found: Mapping[str, Contrast], result: EstimationResult
    ) -> tuple[MarginRow, ...]:
        """Return the rows of the table, with errors that the design gives the total effect too."""
        everyone = np.ones(self.y.size, dtype=bool)
        counts = {name: self.y > 0 if name in _AMONG else everyone for name in found}
        unit = self.design.outcome_spec.unit or str(message("margins.unit"))
        units = {name: "log points" if name.startswith("log") else unit for name in found}
        units["extensive"] = "pp"
        return self._rows(found, units, counts, result)

    def by_category(self, result: EstimationResult) -> tuple[MarginRow, ...]:
        """Return the extensive margin of each category that has firms on both sides."""
        found, counts = {}, {}
        for code, name in enumerate(self.names):
            inside = self.group == code
            if min(float(self.w[inside & (self.d == side)].sum()) for side in (1, 0)) > 0:
                # A category's share is a mean over its firms, as a mean among exporters is.
                exports = (self.y > 0).astype(float)
                found[name] = lee.raw_difference(exports, inside, self.d, self.w)
                counts[name] = inside
        return self._rows(found, dict.fromkeys(found, "pp"), counts, result)

    def _rows(
        self,
        found: Mapping[str, Contrast],
        units: Mapping[str, str],
        counts: Mapping[str, AnyArray],
        result: EstimationResult,
    ) -> tuple[MarginRow, ...]:
        errors = self._errors(list(found.values()), result)
        rows = []
        for (name, one), error, df in zip(found.items(), errors.std_error, errors.df, strict=True):
            size, noise = (100.0, 100 * _ROUNDING) if units[name] == "pp" else (1.0, 0.0)
            value, std_error = size * one.value, size * float(error)
            sides = (counts[name] & (self.d == side) for side in (1, 0))
            n_supported, n_comparison = (int(np.unique(self.rows[s]).size) for s in sides)
            rows.append(
                MarginRow(
                    quantity=name,
                    estimate=0.0 if abs(value) < noise else value,
                    std_error=0.0 if std_error < noise else std_error,
                    df=float(df),
                    unit=units[name],
                    supported=size * one.treated,
                    comparison=size * one.control,
                    n_supported=n_supported,
                    n_comparison=n_comparison,
                )
            )
        return tuple(rows)

    def _errors(self, found: list[Contrast], result: EstimationResult) -> Errors:
        """Return errors of contrasts: their influence cell by cell, then that of cohort sizes."""
        cells, row, n = result.cells, result.rows, self.design.units.size
        assert row is not None
        assert cells.influence is not None
        psi = np.zeros((n, len(found)))
        means = np.zeros((len(self.cells), len(found)))
        for c, (cell, part) in enumerate(zip(self.cells, self._parts(), strict=True)):
            for k, one in enumerate(found):
                means[c, k], own = self._share(one, part)
                firms, whole = self.design.propagated(cell, own)
                psi[firms, k] += n * row.weights[0, c] * whole
        n_columns = cells.moments.total.shape[1]
        by_size = np.concatenate([row.size_gradient(m, n_columns) for m in means.T])
        psi += cells.influence.combine(by_size.T).dense()
        inside = np.unique(np.concatenate([block.rows for block in cells.influence.blocks]))
        block = Block(inside, np.arange(len(found)), psi[inside])
        moments = Influence(n, len(found), (block,)).moments(
            self.design.cohort_codes, self.design.cluster_codes
        )
        return cells.errors_beside(moments, row)

    def _share(self, one: Contrast, part: slice) -> tuple[float, FloatArray]:
        """Return what a cell's firms add to a contrast, and its influence within the cell."""
        g, w, own = one.influence[part], self.within[part], self.d[part] == 1
        means = [float(w[side] @ g[side]) for side in (own, ~own)]
        return sum(means), w * (g - np.where(own, *means))

    def _parts(self) -> Iterator[slice]:
        start = 0
        for cell in self.cells:
            yield slice(start, start := start + cell.rows.size)


def _matched(design: Any) -> bool:
    return bool(design.settings["asks"]["matched"])


def _sides_to_one(cell: Cell) -> FloatArray:
    own = cell.is_supported == 1
    sums = np.where(own, cell.weights[own].sum(), cell.weights[~own].sum())
    return np.asarray(cell.weights / sums)


def _groups(
    design: Any, cells: list[Cell], tighten: str | None
) -> tuple[IntArray, tuple[str, ...]]:
    """Return the category of every firm-period at its cell's base period, and their names."""
    if tighten is None:
        return np.zeros(sum(cell.rows.size for cell in cells), dtype=np.int64), ("",)
    column = design.panel.baseline(tighten)
    values = np.concatenate([column.values[cell.rows, cell.base_index] for cell in cells])
    distinct, code = np.unique(values, return_inverse=True)
    named = column.categories
    names = (f"{v:g}" if named is None else named[int(v)] for v in distinct)
    return code.reshape(-1), tuple(names)


def _estimated(pool: Pooled, tighten: str | None) -> tuple[Mapping[str, Contrast], Bounds]:
    """Return every quantity in the order of the table, and the bounds in levels."""
    exports = pool.y > 0
    logs = np.log(np.where(exports, pool.y, 1.0))
    level, log = (lee.bounds(y, exports, pool.d, pool.w, pool.group) for y in (pool.y, logs))
    if level is None or log is None:
        raise NotIdentifiedError(
            "EI-E59",
            f"No category of {tighten!r} has exporters among both supported and comparison firms, "
            "so that there is nothing to bound within categories. Use a column with fewer "
            "categories, or leave out tighten.",
            column=tighten,
        )
    both = contrasts(pool.y, pool.d, pool.w)
    found = {name: both[name] for name in _FIRST}
    found |= {"intensive_low": level.low, "intensive_high": level.high}
    found["log_raw"] = lee.raw_difference(logs, exports, pool.d, pool.w)
    found |= {"log_low": log.low, "log_high": log.high}
    return found | {name: both[name] for name in _ADD_UP}, level


def _check_design(design: Any, *, randomised: bool) -> None:
    if not (randomised or _matched(design)):
        raise CapabilityError(
            "EI-E55",
            "The margins compare supported with comparable firms in levels, and this design has "
            "not been matched: differences that were there before support would pass for effects "
            "on either margin. Match first, such as design.match(ei.matching.EntropyBalancing()), "
            "or pass randomised=True where support was drawn by lot.",
        )
    outcome = design.outcome_spec
    if outcome.scale not in {"level", "count"}:
        raise InputError(
            "EI-E56",
            f"The outcome {outcome.name!r} is on the scale {outcome.scale!r}; how many firms "
            "export and how much each can only be told apart in levels with zeros. Use the "
            'column itself, ei.Outcome(..., scale="level").',
            scale=outcome.scale,
        )


def _check_outcome(pool: Pooled) -> None:
    below = int((pool.y < 0).sum())
    if below:
        raise InputError(
            "EI-E56",
            f"The outcome {pool.design.outcome_spec.name!r} is below zero in {below} firm-periods, "
            f"the lowest {pool.y.min():g}; a mean is a share of exporters times what they export "
            "only when nothing is below zero. Use an outcome such as export value, not a change "
            "or a balance.",
            below=below,
        )
    exporters = [int(((pool.y > 0) & (pool.d == side)).sum()) for side in (1, 0)]
    if min(exporters) == 0:
        raise NotIdentifiedError(
            "EI-E58",
            f"{exporters[0]} supported and {exporters[1]} comparison firm-periods are above zero: "
            "without exporters on both sides there is no intensive margin, and the total is the "
            'extensive margin alone. Estimate participation, ei.Outcome(..., scale="binary"), or '
            "take more event times together.",
            supported=exporters[0],
            comparison=exporters[1],
        )


def _no_cell(event_time: int | None, since: list[Cell]) -> NotIdentifiedError:
    there = sorted({cell.event_time for cell in since})
    asked = "" if event_time is None else f" at event time {event_time}"
    return NotIdentifiedError(
        "EI-E57",
        f"No cell since support is identified{asked}, so that there is no effect to take apart. "
        f"Event times with cells: {', '.join(map(str, there)) or 'none'}. Choose one of them, "
        "leave event_time out for all, or widen the match.",
        event_time=event_time,
        available=tuple(there),
    )


def _assumptions(
    rows: tuple[MarginRow, ...], tighten: str | None, *, randomised: bool
) -> tuple[Message, ...]:
    extensive = next(row for row in rows if row.quantity == "extensive")
    by = "lot" if randomised else "match"
    direction = "none" if extensive.estimate == 0 else "up" if extensive.estimate > 0 else "down"
    if tighten is not None:
        return message(f"margins.by_{by}"), message("margins.monotone_within", column=tighten)
    return message(f"margins.by_{by}"), message(f"margins.monotone_{direction}")


def _notes(
    pool: Pooled,
    rows: tuple[MarginRow, ...],
    by_category: tuple[MarginRow, ...],
    bounds: Bounds,
    tighten: str | None,
) -> Iterator[Message]:
    yield message("margins.raw")
    extensive = next(row for row in rows if row.quantity == "extensive")
    half = float(t_quantile(0.5 + _LEVEL / 2, np.array(extensive.df))) * extensive.std_error
    low, high = extensive.estimate - half, extensive.estimate + half
    if (pool.y > 0).all():
        yield message("margins.no_zeros")
    elif low <= 0 <= high:
        yield message("margins.not_detectable", estimate=extensive.estimate, low=low, high=high)
    if by_category:
        yield from _on_signs(by_category, tighten)
    outside = ~bounds.used
    if outside.any():
        yield message(
            "margins.outside",
            column=tighten,
            firms=int(np.unique(pool.rows[outside & (pool.d == 1)]).size),
            share=100 * float(pool.w[outside & (pool.d == 1)].sum()),
        )


def _on_signs(rows: tuple[MarginRow, ...], tighten: str | None) -> Iterator[Message]:
    """Yield a doubt of monotone selection where participation moves both ways."""
    estimate = np.array([row.estimate for row in rows])
    if not (estimate > 0).any() or not (estimate < 0).any():
        return
    error, df = (np.array([getattr(row, name) for row in rows]) for name in ("std_error", "df"))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = t_two_sided(estimate / error, df)
    clear = p < (1 - _LEVEL) / len(rows)
    both = bool((clear & (estimate > 0)).any() and (clear & (estimate < 0)).any())
    up, down = (
        ", ".join(row.quantity for row, one in zip(rows, sign, strict=True) if one)
        for sign in (estimate > 0, estimate < 0)
    )
    id = "margins.not_monotone" if both else "margins.signs_differ"
    yield message(id, column=tighten, up=up, down=down)
