"""The one result type: estimated cells, or rows aggregated from them, with their errors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from exportimpact._typing import Aggregation, AnyArray, BoolArray, FloatArray, Rng
from exportimpact.core import aggregation, display, stored
from exportimpact.core.account import SampleAccount
from exportimpact.core.aggregation import Rows
from exportimpact.core.cellset import NO_ERROR, THIN, CellSet, Errors
from exportimpact.core.effects import minimum_detectable, relative_effects
from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.provenance import Provenance
from exportimpact.core.step import Step
from exportimpact.core.wald import WaldTest, pretrend_test
from exportimpact.errors import CapabilityError, InputError, StoredResultError, did_you_mean
from exportimpact.language import Message, message
from exportimpact.numerics.bands import multiplier_sup_t, sup_t
from exportimpact.numerics.distributions import t_quantile, t_two_sided

MAX_INFLUENCE_VALUES = 200_000_000
AGGREGATIONS = ("simple", "event_time", "cohort", "calendar")


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class EstimationResult:
    """Estimates with influence functions; rows are cells, or aggregates of cells.

    Attributes
    ----------
    provenance : Provenance
        Which estimator, with which parameters, on which sealed design.
    estimand : Estimand
        What is estimated; ``str(result.estimand)`` says it in words.
    cells : CellSet
        The cells and the moments of their influence functions.
    design : the sealed design, or None in a result read from JSON
    sample : SampleAccount
        What left between the files and these estimates.
    own_exhibits : tuple of Exhibit
        What the estimator shows; `exhibits` has what the design shows as well.
    notes : tuple of Message
        What a reader must know: seal, pre-support periods, level of errors.
    not_identified : tuple of (cohort, period, reason)
    labels : mapping from calendar ordinal to what a reader calls the period

    Notes
    -----
    Intervals and p-values use a t reference with Satterthwaite degrees of freedom from
    within-(cohort, arm) variances. At firm level `std_error` is sqrt(sum psi^2) / n. Below 50
    clusters, or 20 on either side, it is computed within (cohort, arm) strata of cluster sums.
    """

    provenance: Provenance
    estimand: Estimand
    cells: CellSet
    design: Any
    sample: SampleAccount
    own_exhibits: tuple[Exhibit, ...] = ()
    notes: tuple[Message, ...] = ()
    not_identified: tuple[tuple[int | str, int | str, Message], ...] = ()
    labels: Mapping[int, int | str] = field(default_factory=dict)
    rows: Rows | None = None

    def table(self, *, level: float = 0.95, detail: bool = False) -> pd.DataFrame:
        """Return one row per cell or aggregate.

        Parameters
        ----------
        level : float
            Coverage of the interval.
        detail : bool
            Add degrees of freedom, the minimum detectable effect (80 % power, 5 % level), the
            effect in percent with its interval, the counterfactual mean, and the reason where a
            row has no interval.

        Returns
        -------
        DataFrame
            outcome, subgroup, programme, cohort, period, event_time, estimate, std_error, ci_low,
            ci_high, p_value, n_supported, n_comparison; with clusters above the firm also
            n_supported_clusters, n_comparison_clusters.
        """
        check_level(level)
        errors, estimate = self._errors(), self._estimates()
        half = t_quantile(0.5 + level / 2, errors.df) * errors.std_error
        with np.errstate(divide="ignore", invalid="ignore"):
            p_value = t_two_sided(estimate / errors.std_error, errors.df)
        columns = self._row_labels() | {
            "estimate": estimate,
            "std_error": errors.std_error,
            "ci_low": estimate - half,
            "ci_high": estimate + half,
            "p_value": np.where(errors.std_error > 0, p_value, np.nan),
        }
        columns |= self._row_counts()
        if detail:
            columns["df"] = errors.df
            columns["mde"] = minimum_detectable(errors.std_error, errors.df)
            why = ("no_error", NO_ERROR) if self.cells.no_error else ("thin", THIN)
            reason = str(message(f"note.{why[0]}", code=why[1]))
            columns["reason"] = [reason if t else "" for t in errors.thin]
        frame = pd.DataFrame(columns)
        return frame.join(self.percent(level=level)) if detail else frame

    def percent(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return the effect in percent of the counterfactual, row by row.

        Logs: 100 (exp(b) - 1) with transformed limits. Levels, counts and shares: the effect over
        the mean counterfactual of supported firms, by the delta method with the denominator's
        influence; missing where the counterfactual's interval includes 0. Binary: percentage
        points in `percent`, and the ratio beside it.

        Returns
        -------
        DataFrame
            percent, percent_low, percent_high, percent_unit, counterfactual, ratio.
        """
        check_level(level)
        return relative_effects(
            self.cells, self._rows(), self._errors(), self.estimand.scale, level
        )

    def aggregate(
        self,
        by: Aggregation,
        *,
        weights: Literal["design", "observed"] = "design",
        balance: int | None = None,
        min: int | None = None,
        max: int | None = None,
    ) -> EstimationResult:
        """Return the cells aggregated by event time, cohort or calendar period, or to one row.

        Parameters
        ----------
        by : {"simple", "event_time", "cohort", "calendar"}
        weights : {"design", "observed"}
            Cohort sizes: all supported firms of the cohort, or those observed in the cell.
        balance : int, optional
            Keep cohorts observed for event times 0 to `balance`, and event times up to it, so that
            the composition of cohorts does not change after support.
        min, max : int, optional
            Range of event times to keep.

        Raises
        ------
        InputError
            EI-I01 for an unknown aggregation, EI-I02 when nothing is left.
        CapabilityError
            EI-I03 when the result is an aggregate already.
        """
        check_option("weights", weights, ("design", "observed"))
        kept = self._kept(by, balance, min, max)
        if by != "event_time":
            kept = kept & (self.cells.index.event_time >= 0)
        self._require(kept, by)
        rows = aggregation.aggregate(by, self.cells.index, self.cells.sizes(weights), kept=kept)
        return self._aggregated(rows, by, weights, overall=by == "simple")

    def overall(
        self,
        by: Aggregation = "simple",
        *,
        weights: Literal["design", "observed"] = "design",
        balance: int | None = None,
        min: int | None = None,
        max: int | None = None,
        cells: Iterable[tuple[int, int]] | None = None,
    ) -> EstimationResult:
        """Return one row: the summary of an aggregation over post-support cells.

        ``"simple"`` weights cells by cohort size, ``"event_time"`` is the plain mean over event
        times >= 0, ``"cohort"`` weights cohorts by size, ``"calendar"`` is the mean over periods.
        `cells` keeps only these (cohort, period) pairs, ordinals as in ``estimand.cells``.
        Other parameters and errors as in `aggregate`.
        """
        check_option("weights", weights, ("design", "observed"))
        kept = self._kept(by, balance, min, max) & (self.cells.index.event_time >= 0)
        if cells is not None:
            wanted = {(int(g), int(t)) for g, t in cells}
            kept = kept & np.array([cell in wanted for cell in self.estimand.cells], dtype=bool)
        self._require(kept, by)
        rows = aggregation.overall(by, self.cells.index, self.cells.sizes(weights), kept=kept)
        return self._aggregated(rows, by, weights, overall=True)

    def bands(
        self,
        *,
        level: float = 0.95,
        family: Literal["post", "all"] = "post",
        method: Literal["sup_t", "multiplier"] = "sup_t",
        draws: int = 999,
        rng: Rng = None,
    ) -> pd.DataFrame:
        """Return `table` with simultaneous bands: columns family, critical, band_low, band_high.

        Parameters
        ----------
        level : float
        family : {"post", "all"}
            Over which rows the band holds at once: event time >= 0, or before and after support.
        method : {"sup_t", "multiplier"}
            Multivariate t from the covariance, or the multiplier bootstrap with `draws` and `rng`.
        """
        check_option("family", family, ("post", "all"))
        check_option("method", method, ("sup_t", "multiplier"))
        if draws < 1:
            raise InputError(
                "EI-I08",
                f"draws={draws}: a bootstrap needs at least one draw, and 999 or more for a band.",
                draws=draws,
            )
        frame, errors = self.table(level=level), self._errors()
        event_time = frame["event_time"].to_numpy(dtype=float, na_value=0.0)
        inside = np.flatnonzero((np.isfinite(errors.df)) & ((event_time >= 0) | (family == "all")))
        critical = np.full(len(frame), np.nan)
        if inside.size:
            critical[inside] = self._critical(inside, errors, level, method, draws, rng)
        half = critical * errors.std_error
        return frame.assign(
            family=family,
            critical=critical,
            band_low=frame["estimate"] - half,
            band_high=frame["estimate"] + half,
        )

    def pretrend_test(self) -> WaldTest:
        """Return the joint test that every cell before support (and anticipation) is zero.

        Cells of outcomes that firms were matched on are left out: they are met by construction.
        """
        self._require_cells("pretrend_test")
        matched = self.provenance.lags * self.provenance.step_length
        return pretrend_test(self.cells, self.provenance.anticipation, matched)

    def covariance(self) -> FloatArray:
        """Return the covariance of the rows, (n_rows, n_rows)."""
        return self._errors().covariance

    @property
    def estimate(self) -> float:
        """The estimate of a one-row result."""
        return self._one("estimate")

    @property
    def std_error(self) -> float:
        """The standard error of a one-row result."""
        return self._one("std_error")

    @property
    def ci_low(self) -> float:
        """Lower end of the 95 % interval of a one-row result."""
        return self._one("ci_low")

    @property
    def ci_high(self) -> float:
        """Upper end of the 95 % interval of a one-row result."""
        return self._one("ci_high")

    @property
    def p_value(self) -> float:
        """Two-sided p-value of a one-row result."""
        return self._one("p_value")

    @property
    def step(self) -> Step:
        """Rung of the OECD ladder that design and method reach together."""
        return self.provenance.step

    @property
    def max_step(self) -> Step:
        """The highest rung that the design allows: IV where a match did not balance."""
        return self.provenance.max_step

    @property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """What a matched design shows (balance, overlap, paths), then what the estimator shows."""
        if self.design is None or self.estimand.reference == "typical":
            return self.own_exhibits
        return (*self.design.exhibits, *self.own_exhibits)

    @property
    def units(self) -> AnyArray:
        """Firm ids in the order of the rows of `influence`."""
        if self.design is None:
            raise _not_stored("units")
        units: AnyArray = self.design.units
        return units

    @property
    def influence(self) -> FloatArray:
        """Influence functions in full, (n_firms, n_rows), in the order of `units`.

        Raises
        ------
        StoredResultError
            EI-I04 in a result read from JSON.
        CapabilityError
            EI-I05 above 200 million values.
        """
        if self.cells.influence is None:
            raise _not_stored("influence")
        gradient = self._gradient()
        size = self.cells.influence.n_firms * gradient.shape[0]
        if size > MAX_INFLUENCE_VALUES:
            raise CapabilityError(
                "EI-I05",
                f"The influence functions have {size:,} values and would fill the memory. Use "
                "result.cells.influence.combine(weights) or .cluster_sums(ids), which work on "
                "blocks, or aggregate first.",
                values=size,
            )
        if self.rows is None:
            return self.cells.influence.dense(np.arange(gradient.shape[0]))
        return self.cells.influence.combine(gradient.T).dense()

    def to_json(self) -> str:
        """Return settings, cells, moments and exhibits as JSON, without firm-level data."""
        return stored.dump(self)

    @classmethod
    def from_json(cls, text: str) -> EstimationResult:
        """Return the result that `to_json` wrote; every `aggregate` works, `influence` does not."""
        result = stored.load(text)
        assert isinstance(result, cls)
        return result

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)

    def _rows(self) -> Rows:
        return self.rows if self.rows is not None else aggregation.identity(self.cells.index)

    def _gradient(self) -> FloatArray:
        return self.cells.gradient(self._rows())

    def _errors(self) -> Errors:
        return self.cells.errors(self._gradient(), self._rows())

    def _estimates(self) -> FloatArray:
        values: FloatArray = self._rows().weights @ self.cells.estimate
        return values

    def _one(self, name: str) -> float:
        frame = self.table()
        if len(frame) != 1:
            raise CapabilityError(
                "EI-I06",
                f"The result has {len(frame)} rows, so that .{name} is not one number. Read "
                'result.table(), or take one row first: result.overall("simple").',
                rows=len(frame),
            )
        return float(frame[name].iloc[0])

    def _kept(self, by: str, balance: int | None, low: int | None, high: int | None) -> BoolArray:
        if by not in AGGREGATIONS:
            raise InputError(
                "EI-I01",
                f"Unknown aggregation {by!r}; it decides which average is reported. Choose from "
                f"{', '.join(AGGREGATIONS)}.",
                by=by,
            )
        self._require_cells("aggregate")
        for option, value in {"balance": balance, "min": low, "max": high}.items():
            _check_time(option, value)
        index = self.cells.index
        e = index.event_time
        kept = np.ones(e.size, dtype=bool)
        if balance is not None:
            step = self.provenance.step_length
            needed = set(range(0, balance + 1, step))
            whole = [g for g in np.unique(index.cohort) if needed <= set(e[index.cohort == g])]
            kept &= np.isin(index.cohort, whole) & (e <= balance)
        if low is not None:
            kept &= e >= low
        if high is not None:
            kept &= e <= high
        return kept

    def _require(self, kept: BoolArray, by: str) -> None:
        if not kept.any():
            raise InputError(
                "EI-I02",
                f"No cell is left to aggregate by {by}: the range of event times or the balance "
                "excludes every estimated cell. Widen min, max or balance; result.table() lists "
                "the cells.",
                by=by,
            )

    def _require_cells(self, what: str) -> None:
        if self.rows is not None:
            raise CapabilityError(
                "EI-I03",
                f"{what} needs the cells, but this result holds rows aggregated by "
                f"{self.estimand.aggregation}; averages of averages have other weights than they "
                "seem to. Call it on the result of the estimator.",
                aggregation=self.estimand.aggregation,
            )

    def _aggregated(
        self, rows: Rows, by: Aggregation, weights: Literal["design", "observed"], *, overall: bool
    ) -> EstimationResult:
        used = np.flatnonzero((rows.weights != 0).any(axis=0))
        cells = tuple(self.estimand.cells[c] for c in used)
        estimand = replace(
            self.estimand, cells=cells, aggregation=by, overall=overall, weights=weights, key=None
        )
        return replace(self, rows=rows, estimand=estimand)

    def _critical(
        self,
        inside: AnyArray,
        errors: Errors,
        level: float,
        method: str,
        draws: int,
        rng: Rng,
    ) -> FloatArray:
        if method == "sup_t":
            return sup_t(errors.covariance[np.ix_(inside, inside)], errors.df[inside], level)
        if self.cells.influence is None:
            raise _not_stored("multiplier bands")
        codes = None if self.design is None else self.design.cluster_codes
        generator = self.provenance.generator(rng)
        gradient = self._gradient()[inside]
        if codes is None:
            psi = self.cells.influence.combine(gradient.T).dense()
        else:
            psi = self.cells.influence.cluster_sums(codes) @ gradient.T
        scaled = errors.std_error[inside] * self.cells.influence.n_firms
        critical = multiplier_sup_t(psi, scaled, level, draws, generator)
        return np.maximum(critical, t_quantile(0.5 + level / 2, errors.df[inside]))

    def _row_labels(self) -> dict[str, Any]:
        rows, kind, index = self._rows(), self.estimand.aggregation, self.cells.index
        n = len(rows.keys)
        blank: list[Any] = [pd.NA] * n
        columns: dict[str, list[Any]] = {
            "cohort": list(blank),
            "period": list(blank),
            "event_time": list(blank),
        }
        if self.rows is None:
            columns["cohort"] = [self._label(g) for g in index.cohort]
            columns["period"] = [self._label(t) for t in index.period]
            columns["event_time"] = [int(e) for e in index.event_time]
        elif not self.estimand.overall:
            named = {"event_time": "event_time", "cohort": "cohort", "calendar": "period"}[kind]
            columns[named] = [k if kind == "event_time" else self._label(k) for k in rows.keys]
        segment = None if self.estimand.segment is None else "=".join(self.estimand.segment)
        labels: dict[str, Any] = {
            "outcome": [self.estimand.outcome] * n,
            "subgroup": [segment or "all"] * n,
            "programme": [self.provenance.programme] * n,
        }
        for name, values in columns.items():
            numeric = all(v is pd.NA or isinstance(v, (int, np.integer)) for v in values)
            labels[name] = pd.array(values, dtype="Int64" if numeric else "object")
        return labels

    def _row_counts(self) -> dict[str, list[int]]:
        counts, used = self.cells.counts, self._rows().weights != 0
        names = {"n_supported": counts.supported, "n_comparison": counts.comparison}
        if self.cells.clustered:
            names["n_supported_clusters"] = counts.supported_clusters
            names["n_comparison_clusters"] = counts.comparison_clusters
        out: dict[str, list[int]] = {}
        for name, values in names.items():
            if "comparison" in name:
                out[name] = [int(values[row].max()) for row in used]
                continue
            cohort = self.cells.index.cohort
            out[name] = [
                sum(int(values[row & (cohort == g)].max()) for g in np.unique(cohort[row]))
                for row in used
            ]
        return out

    def _label(self, ordinal: Any) -> int | str:
        return self.labels.get(int(ordinal), int(ordinal))


def check_option(option: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse a word that is not among those allowed; EI-I08."""
    if value not in allowed:
        raise InputError(
            "EI-I08",
            f"{option}={value!r} is unknown; it decides what is computed. "
            f"{did_you_mean(str(value), allowed)}",
            option=option,
        )


def _check_time(option: str, value: object) -> None:
    whole = value is None or isinstance(value, (int, np.integer))
    if not whole or (option == "balance" and value is not None and value < 0):  # type: ignore[operator]
        raise InputError(
            "EI-I08",
            f"{option}={value!r} must be a whole number (for balance, of at least 0): it is a time "
            "since first support.",
            option=option,
        )


def check_level(level: float) -> None:
    """Refuse what is no coverage; EI-I08."""
    if not 0 < level < 1:
        raise InputError(
            "EI-I08",
            f"level={level!r} is not a coverage between 0 and 1, so that no interval has it. "
            "Write 0.95 for 95 %.",
            level=level,
        )


def _not_stored(what: str) -> StoredResultError:
    return StoredResultError(
        "EI-I04",
        f"A result read from JSON holds no {what}: JSON keeps no firm-level data. Keep the result "
        "with pickle, or estimate again from the data.",
        what=what,
    )
