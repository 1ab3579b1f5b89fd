"""Segments of a design: the firms of one category of a baseline column, on both sides.

A cohort's firms count by their category at the cohort's base period, and so do the comparison
firms that they are compared with: nobody changes sides because of support.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from exportimpact._typing import BoolArray, FloatArray
from exportimpact.core.notebook import Shown
from exportimpact.data import Panel
from exportimpact.errors import ColumnError, InputError, did_you_mean

if TYPE_CHECKING:
    from exportimpact.design.design import Design


@dataclass(frozen=True, kw_only=True)
class Segment(Shown):
    """Firms of one category, or with a number in one range.

    Attributes
    ----------
    column : str
        Baseline column.
    value : str, float or None
        The category, or the number; None for a range.
    at_least, below : float or None
        The range: from `at_least` on, `below` excluded.
    """

    column: str
    value: str | float | None = None
    at_least: float | None = None
    below: float | None = None

    @property
    def label(self) -> str:
        """What the segment is called beside its column."""
        if self.value is not None:
            return self.value if isinstance(self.value, str) else f"{self.value:g}"
        if self.at_least is None:
            return f"below {self.below:,.4g}"
        if self.below is None:
            return f"{self.at_least:,.4g} or more"
        return f"{self.at_least:,.4g} to below {self.below:,.4g}"

    def members(self, panel: Panel) -> BoolArray:
        """Return which firms are in the segment when, (n_firms, n_periods)."""
        column = panel.baseline(self.column)
        if column.categories is not None:
            code = column.categories.index(str(self.value))
            return np.asarray(column.values == code, dtype=bool)
        if self.value is not None:
            return np.asarray(column.values == float(self.value), dtype=bool)
        low = -np.inf if self.at_least is None else self.at_least
        high = np.inf if self.below is None else self.below
        return np.asarray((column.values >= low) & (column.values < high), dtype=bool)

    def described(self) -> dict[str, Any]:
        """Return the segment as plain values, for the seal and the manifest."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**{k: v for k, v in given.items() if v is not None}, "label": self.label}


def within(design: Design, segment: Segment) -> Design:
    """Return the design among the firms of a segment.

    A covariate that is the same for all firms of the segment is left out of the covariates.

    Raises
    ------
    InputError, ColumnError
        EI-I12 for a segment of a segment, or one that does not fit its column; EI-P33 for a column
        that the panel does not have.
    NotIdentifiedError
        EI-D07, EI-D08 when no supported or no comparison firm is in the segment.
    """
    if design.segment is not None:
        raise _refused(
            f"The design is among firms with {design.segment.column} = {design.segment.label} "
            "already. Make a column of both, such as 'small exporter', and start from the design "
            "of all firms.",
            segment,
        )
    column = design.panel.baseline(segment.column)
    if column.categories is not None and str(segment.value) not in column.categories:
        hint = did_you_mean(str(segment.value), column.categories)
        raise _refused(f"{segment.column!r} has no category {segment.value!r}. {hint}", segment)
    if column.categories is None and isinstance(segment.value, str):
        raise _refused(
            f"{segment.column!r} holds numbers, not {segment.value!r}. Pass a number, or a range "
            "by at_least= and below=.",
            segment,
        )
    ranged = segment.at_least is not None or segment.below is not None
    low_high = (segment.at_least, segment.below)
    if ranged == (segment.value is not None) or (None not in low_high and not _ordered(*low_high)):
        raise _refused("Pass a category, or a range with at_least < below.", segment)
    covariates = _covariates(design, segment)
    return _changed(design, segment=segment, covariates=covariates)


def numbers_at_base(design: Design, name: str) -> FloatArray:
    """Return a baseline column of all supported firms at their base periods, in order of cohort."""
    values = design.panel.baseline(name).values
    found = [np.zeros(0)]
    for cohort, rows in design.cohort_firms.items():
        base = design.calendar.index(design._identifier.last_before(cohort))
        if base is not None:
            found.append(values[rows, base])
    return np.concatenate(found)


def _ordered(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and low < high


def _covariates(design: Design, segment: Segment) -> tuple[str, ...] | str:
    constant = segment.value is not None and segment.column in design.covariate_names
    if not constant:
        given = design.covariates
        return given if isinstance(given, str) else tuple(given)
    if isinstance(design.covariates, str):
        raise ColumnError(
            "EI-I13",
            f"The formula {design.covariates!r} uses {segment.column!r}, which is the same for all "
            "firms of a segment of it, so that no coefficient is determined. Write covariates as "
            "a list of columns, from which it is left out, or a formula without it.",
            column=segment.column,
        )
    return tuple(name for name in design.covariates if name != segment.column)


def _changed(design: Design, **options: Any) -> Design:
    """Return the design with other options; the support, which they do not touch, is handed on."""
    from exportimpact.design.design import Design as Whole

    other = object.__new__(Whole)
    vars(other).update({f.name: getattr(design, f.name) for f in fields(Whole)} | options)
    vars(other)["aligned"] = design.aligned
    other.__post_init__()
    return other


def _refused(why: str, segment: Segment) -> InputError:
    return InputError(
        "EI-I12",
        f"There is no such segment, so that it is not known whose effect is meant. {why}",
        column=segment.column,
        value=segment.value,
    )
