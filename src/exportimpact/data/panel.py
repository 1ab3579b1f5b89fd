"""Firm panels: what firms reported, period by period, checked, frozen and fingerprinted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, BoolArray, FloatArray, IntArray
from exportimpact.core.account import SampleAccount
from exportimpact.core.outcome import Outcome
from exportimpact.data.building import (
    BaselineColumn,
    OnDuplicates,
    OnMissingBaseline,
    PanelSpec,
    Parts,
    build_parts,
)
from exportimpact.data.calendar import Calendar, Frequency
from exportimpact.data.cards import html_card, listed, text_card
from exportimpact.data.options import check_spec
from exportimpact.errors import ColumnError, did_you_mean
from exportimpact.language import Message

__all__ = ["BaselineColumn", "Panel"]


@dataclass(frozen=True, eq=False, repr=False)
class Panel:
    """A firm panel on a complete grid of periods; made by `from_frame`, never changed.

    Exit (declared), zero and missing report (NaN) are three things and stay apart; a firm without
    later rows is "not observed", never an exit.

    Attributes
    ----------
    units : array of shape (n_firms,)
        Firm ids, sorted: int64, or str objects in NFC.
    calendar : Calendar
        The periods.
    observed : BoolArray of shape (n_firms, n_periods)
        Whether the frame has a row; false after a declared exit, where `wide` may hold zeros.
    weight : FloatArray of shape (n_firms, n_periods) or None
        Probability weights, NaN where not observed.
    cluster_codes : IntArray of shape (n_firms,)
        The firm's place in `cluster_labels`.
    exit_ordinal : FloatArray of shape (n_firms,)
        Ordinal of the last period of life, NaN when no exit is declared.
    account : SampleAccount
        From the rows that came in to the rows of the panel; it adds up.
    notes : tuple of Message
        Gaps, entry, attrition, missing reports.
    fingerprint : str
        SHA-256 of the data, whatever the row order, dtypes or make of the frame.
    """

    _parts: Parts = field(repr=False)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        *,
        unit: str,
        period: str,
        outcomes: Sequence[Outcome | str],
        baseline: Sequence[str] = (),
        cluster: str | None = None,
        weight: str | None = None,
        frequency: Frequency | None = None,
        duplicates: OnDuplicates = "error",
        exit: str | None = None,
        missing_baseline: OnMissingBaseline = "error",
    ) -> Panel:
        """Return the panel of a frame with one row per firm and period.

        Parameters
        ----------
        frame : pandas, polars or Arrow data frame
            Copied and converted once.
        unit, period : str
            Columns with the firm's id (whole numbers or text) and the period (whole numbers, or
            dates with `frequency`).
        outcomes : sequence of Outcome or str
            A name alone is an outcome in levels.
        baseline : sequence of str, optional
            Covariates, read at each comparison's base period. Text and categories are categorical.
        cluster : str, optional
            Column with the firm's cluster; the firm itself when not given.
        weight : str, optional
            Column with positive probability weights.
        frequency : {"year", "quarter", "month"}, optional
            Needed for dates. When declared, the calendar has every year (quarter, month); without,
            integers step by the greatest common divisor of their differences.
        duplicates : {"error", "sum", "first", "last"}
            Rule for repeated (firm, period). "sum" adds columns declared as level or count (and
            what is derived from them); all else has to agree. "first" and "last" follow row order.
        exit : str, optional
            Yes/no column, true in the last period of a firm's life; missing means no. Afterwards
            levels, counts and binary outcomes are 0 (unless ``after_exit="missing"``), logs and
            shares missing.
        missing_baseline : {"error", "drop"}
            "drop" moves firms that lack a covariate in any observed period to the account.

        Raises
        ------
        ProblemsError
            Every problem of the input together, each with its EI-P code.
        ColumnError
            EI-P03 when the only problem is one column that does not exist.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame(
        ...     {"firm": [1, 1, 2, 2], "year": [2019, 2020] * 2, "exports": [0.0, 3.0, 5.0, 8.0]}
        ... )
        >>> panel = Panel.from_frame(frame, unit="firm", period="year", outcomes=["exports"])
        >>> panel.wide("exports")
        array([[0., 3.],
               [5., 8.]])
        """
        spec = PanelSpec(
            unit=unit,
            period=period,
            outcomes=_outcomes(outcomes),
            baseline=(baseline,) if isinstance(baseline, str) else tuple(baseline),
            cluster=cluster,
            weight=weight,
            exit=exit,
            frequency=frequency,
            duplicates=duplicates,
            missing_baseline=missing_baseline,
        )
        check_spec(spec)
        return cls(build_parts(frame, spec))

    @property
    def unit(self) -> str:
        """Name of the id column."""
        return self._parts.spec.unit

    @property
    def period(self) -> str:
        """Name of the period column."""
        return self._parts.spec.period

    @property
    def units(self) -> AnyArray:
        """Firm ids, sorted."""
        return self._parts.units

    @property
    def calendar(self) -> Calendar:
        """The periods."""
        return self._parts.calendar

    @property
    def observed(self) -> BoolArray:
        """Whether the frame has a row, (n_firms, n_periods)."""
        return self._parts.observed

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes as declared."""
        return self._parts.spec.outcomes

    @property
    def baseline_names(self) -> tuple[str, ...]:
        """Names of the baseline covariates."""
        return self._parts.spec.baseline

    @property
    def weight(self) -> FloatArray | None:
        """Probability weights, (n_firms, n_periods), or None."""
        return self._parts.weight

    @property
    def weight_name(self) -> str | None:
        """Name of the weight column."""
        return self._parts.spec.weight

    @property
    def cluster(self) -> str | None:
        """Name of the cluster column, None for the firm."""
        return self._parts.spec.cluster

    @property
    def cluster_codes(self) -> IntArray:
        """Each firm's cluster, as its place in `cluster_labels`."""
        return self._parts.cluster_codes

    @property
    def cluster_labels(self) -> tuple[object, ...]:
        """Names of the clusters."""
        return tuple(self._parts.cluster_labels.tolist())

    @property
    def exit_ordinal(self) -> FloatArray:
        """Ordinal of the last period of life, NaN where no exit is declared."""
        return self._parts.exit_ordinal

    @property
    def account(self) -> SampleAccount:
        """From the rows that came in to the rows of the panel."""
        return self._parts.account

    @property
    def notes(self) -> tuple[Message, ...]:
        """What a reader should know: gaps, entry, attrition, missing reports."""
        return self._parts.notes

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the data."""
        return self._parts.fingerprint

    @property
    def dropped_units(self) -> AnyArray:
        """Ids of firms that were in the frame and left it for a missing covariate."""
        return self._parts.dropped

    @property
    def n_firms(self) -> int:
        """Number of firms."""
        return len(self._parts.units)

    @property
    def n_periods(self) -> int:
        """Number of periods of the grid, gaps included."""
        return len(self._parts.calendar.ordinals)

    def outcome(self, name: str) -> Outcome:
        """Return the outcome `name`; EI-P33 when there is none."""
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise _unknown("outcome", name, [o.name for o in self.outcomes])

    def wide(self, name: str) -> FloatArray:
        """Return an outcome on its own scale, (n_firms, n_periods), read-only.

        Logs are taken and binary outcomes made. NaN where not observed, not reported, or not
        positive under a log; the time after a declared exit is filled as the outcome declares.
        """
        return self._parts.wide[self.outcome(name).name]

    def source(self, name: str) -> FloatArray:
        """Return an outcome's column as it was read, (n_firms, n_periods), without its scale."""
        return self._parts.sources[self.outcome(name).source]

    def not_positive(self, name: str) -> BoolArray:
        """Return the firm-periods that a log leaves out, (n_firms, n_periods)."""
        nowhere = np.zeros(self._parts.observed.shape, dtype=bool)
        return self._parts.not_positive.get(self.outcome(name).name, nowhere)

    def baseline(self, name: str) -> BaselineColumn:
        """Return a baseline covariate on the grid; EI-P33 when there is none."""
        if name not in self._parts.baseline:
            raise _unknown("baseline covariate", name, self.baseline_names)
        return self._parts.baseline[name]

    def missing(self) -> pd.DataFrame:
        """Return what is missing, by outcome and period.

        Columns are outcome, period, firms_observed (rows), missing (rows without a report) and
        not_positive (rows that a log leaves out).
        """
        parts = self._parts
        tables = []
        for outcome in self.outcomes:
            without = (parts.observed & (parts.wide[outcome.name] != parts.wide[outcome.name])).sum(
                axis=0
            )
            not_positive = self.not_positive(outcome.name).sum(axis=0)
            tables.append(
                pd.DataFrame(
                    {
                        "outcome": outcome.name,
                        "period": self.calendar.labels,
                        "firms_observed": parts.observed.sum(axis=0),
                        "missing": without - not_positive,
                        "not_positive": not_positive,
                    }
                )
            )
        return pd.concat(tables, ignore_index=True)

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        labels = self.calendar.labels
        title = (
            f"Panel: {self.n_firms:,} firms x {self.n_periods} {self.calendar.noun}s "
            f"({labels[0]}-{labels[-1]}), {int(self.observed.sum()):,} rows"
        )
        rows = [("unit", self.unit), ("period", self.period)]
        for outcome in self.outcomes[:6]:
            unit = f", {outcome.unit}" if outcome.unit else ""
            rows.append(("outcome", f"{outcome.name} ({outcome.scale}{unit})"))
        if len(self.outcomes) > 6:
            rows.append(("outcome", f"and {len(self.outcomes) - 6} more"))
        rows.append(("baseline", listed(self.baseline_names) or "none"))
        clusters = (
            f"{self.cluster} ({len(self._parts.cluster_labels):,})" if self.cluster else "firm"
        )
        rows.append(("cluster", clusters))
        rows.append(("weight", self.weight_name or "none"))
        rows += [("note", str(note)) for note in self.notes[:4]]
        if len(self.notes) > 4:
            rows.append(("note", f"and {len(self.notes) - 4} more in .notes"))
        return title, [*rows, ("fingerprint", self.fingerprint[:16])]

    def __repr__(self) -> str:
        return text_card(*self._card())

    def _repr_html_(self) -> str:
        return html_card(*self._card())


def _outcomes(given: Iterable[Outcome | str]) -> tuple[Outcome, ...]:
    listed_outcomes = [given] if isinstance(given, (str, Outcome)) else given
    return tuple(o if isinstance(o, Outcome) else Outcome(o) for o in listed_outcomes)


def _unknown(what: str, name: str, available: Iterable[str]) -> ColumnError:
    return ColumnError(
        "EI-P33",
        f"The panel has no {what} {name!r}, so nothing can be estimated for it. "
        + did_you_mean(name, available),
        name=name,
    )
