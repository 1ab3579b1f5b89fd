"""All cohorts of a design, matched: who was kept, who was left out and why, who weighs what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray, IntArray
from exportimpact.design.matching.forms import Paired
from exportimpact.design.matching.matched import CohortMatch
from exportimpact.design.matching.matcher import Matcher
from exportimpact.design.matching.riskset import RiskSet, risk_sets
from exportimpact.errors import ColumnError, InputError, NotIdentifiedError, did_you_mean
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.design.design import Design


@dataclass(frozen=True, eq=False, repr=False)
class Matching:
    """The matched cohorts of a design.

    Attributes
    ----------
    design : Design
    matcher : Matcher
    cohorts : mapping of cohort ordinal to CohortMatch
    failed : mapping of cohort ordinal to Message
        Why a cohort has no match at all.
    """

    design: Design
    matcher: Matcher
    cohorts: dict[int, CohortMatch]
    failed: dict[int, Message]

    @classmethod
    def of(
        cls, design: Design, matcher: Matcher, *, tie_order: np.random.Generator | None = None
    ) -> Matching:
        """Match every cohort of a design.

        Raises
        ------
        ColumnError
            EI-M03 for columns that the panel does not have.
        InputError
            EI-M04 without anything to match on, EI-M09 for a covariate not known before support.
        NotIdentifiedError
            EI-M05, EI-M06, EI-M08 when no cohort is left, EI-M07 for too few comparison firms.
        """
        _check_columns(design, matcher)
        found: dict[int, CohortMatch] = {}
        failed: dict[int, Message] = {}
        for risk in risk_sets(design, matcher.needs):
            made = _without(risk) or matcher.match(risk, tie_order=tie_order)
            if isinstance(made, Message):
                failed[risk.cohort] = made
            else:
                found[risk.cohort] = made
        if not found:
            raise _nothing(failed)
        return cls(design, matcher, found, failed)

    @property
    def kept(self) -> int:
        """Supported firms that were matched."""
        return sum(match.kept.size for match in self.cohorts.values())

    @property
    def supported(self) -> int:
        """Supported firms of all cohorts, matched or not."""
        return sum(self.design.cohort_firms[g].size for g in self.design.cohorts)

    @property
    def at_risk(self) -> int:
        """Supported firms that could be matched: observed at their base period, columns known."""
        matched = sum(match.risk.n_supported for match in self.cohorts.values())
        return matched + sum(self.design.cohort_firms[g].size for g in self.failed)

    @property
    def used(self) -> IntArray:
        """Rows of the comparison firms that serve some cohort, each once, increasing."""
        return np.unique(np.concatenate([m.used for m in self.cohorts.values()]))

    @property
    def tied(self) -> int:
        """Supported firms for which several comparison firms were equally near."""
        return sum(match.tied.size for match in self.cohorts.values())

    @property
    def overlap(self) -> bool:
        """Whether supported firms are weighted as well, towards those with a twin."""
        return any(match.target == "overlap" for match in self.cohorts.values())

    @property
    def no_error(self) -> bool:
        """Whether a classifier made the weights, so that their error is not known."""
        return any(match.no_error for match in self.cohorts.values())

    @property
    def shares_ties(self) -> bool:
        """Whether equally near firms share a place."""
        return bool(getattr(self.matcher, "replace", False)) and (
            getattr(self.matcher, "ties", None) != "id"
        )

    @cached_property
    def left(self) -> tuple[tuple[Message, IntArray], ...]:
        """Supported firms that were not matched, by reason: (reason, rows)."""
        found: dict[Message, list[IntArray]] = {}
        for cohort in self.design.cohorts:
            for reason, rows in self._left_of(cohort):
                found.setdefault(reason, []).append(rows)
        return tuple((why, np.sort(np.concatenate(rows))) for why, rows in found.items())

    def _left_of(self, cohort: int) -> Iterator[tuple[Message, IntArray]]:
        match = self.cohorts.get(cohort)
        if match is None:
            label = self.design.calendar.label(cohort)
            why = self.failed.get(cohort, message("match.no_base", cohort=label))
            yield why, self.design.cohort_firms[cohort]
            return
        yield from match.risk.left
        yield from match.left

    def weights(self) -> pd.DataFrame:
        """Return one row per firm and cohort: firm, cohort, role, weight.

        A comparison firm that serves several cohorts has a row for each.
        """
        parts = []
        for cohort, match in self.cohorts.items():
            used = match.weights > 0
            role = np.where(match.risk.is_supported[used] > 0, "supported", "comparison")
            parts.append(
                pd.DataFrame(
                    {
                        self.design.panel.unit: self.design.units[match.risk.rows[used]],
                        "cohort": self.design.calendar.label(cohort),
                        "role": role,
                        "weight": match.weights[used],
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def pairs(self) -> pd.DataFrame:
        """Return one row per pair: cohort, supported, comparison, distance, share.

        Raises
        ------
        InputError
            EI-M11 for a matcher that makes no pairs.
        """
        parts = []
        for cohort, match in self.cohorts.items():
            if not isinstance(match.form, Paired):
                raise InputError(
                    "EI-M11",
                    f"{type(self.matcher).__name__} makes no pairs: it gives weights, or strata in "
                    "which all firms stand for one another. Read .weights(), or match with Nearest "
                    "or Optimal.",
                    matcher=type(self.matcher).__name__,
                )
            units = self.design.units[match.risk.rows]
            parts.append(
                pd.DataFrame(
                    {
                        "cohort": self.design.calendar.label(cohort),
                        "supported": units[match.form.supported],
                        "comparison": units[match.form.comparison],
                        "distance": match.form.distance,
                        "share": match.form.share,
                    }
                )
            )
        return pd.concat(parts, ignore_index=True)

    def unmatched(self) -> pd.DataFrame:
        """Return the supported firms that were left out: firm, cohort, reason."""
        rows = [
            (self.design.units[row], self.design.calendar.label(cohort), str(why))
            for cohort in self.design.cohorts
            for why, firms in self._left_of(cohort)
            for row in firms
        ]
        return pd.DataFrame(rows, columns=[self.design.panel.unit, "cohort", "reason"])

    def sizes(self) -> pd.DataFrame:
        """Return one row per cohort and one for all: who was kept, and how far weights spread.

        Columns are cohort, supported, kept, share_kept, comparison_at_risk, comparison_used,
        effective_comparison (Kish), largest_weight (share of the comparison firms' total), tied.
        """
        rows = [self._size_of(cohort) for cohort in self.cohorts]
        whole = np.zeros(self.design.units.size)
        at_risk = np.zeros(self.design.units.size, dtype=bool)
        for match in self.cohorts.values():
            np.add.at(whole, match.risk.comparison, match.risk.split(match.weights)[1])
            at_risk[match.risk.comparison] = True
        counts = (self.supported, self.kept, int(at_risk.sum()), self.used.size)
        rows.append(_size_row("all", *counts, whole, self.tied))
        return pd.DataFrame(rows)

    def _size_of(self, cohort: int) -> dict[str, object]:
        match = self.cohorts[cohort]
        others = match.risk.split(match.weights)[1]
        return _size_row(
            self.design.calendar.label(cohort),
            int(self.design.cohort_firms[cohort].size),
            int(match.kept.size),
            int(match.risk.comparison.size),
            int(match.used.size),
            others,
            int(match.tied.size),
        )

    def __repr__(self) -> str:
        whole = self.sizes().iloc[-1]
        return (
            f"Matching by {type(self.matcher).__name__}: {self.kept:,} of {self.supported:,} "
            f"supported firms kept ({whole['share_kept']:.1%}), {self.used.size:,} comparison "
            f"firms used (effectively {whole['effective_comparison']:,.1f}), {self.tied:,} tied"
        )


def _size_row(
    label: object,
    supported: int,
    kept: int,
    at_risk: int,
    used: int,
    weights: FloatArray,
    tied: int,
) -> dict[str, object]:
    total, square = float(weights.sum()), float((weights**2).sum())
    return {
        "cohort": label,
        "supported": supported,
        "kept": kept,
        "share_kept": kept / supported if supported else float("nan"),
        "comparison_at_risk": at_risk,
        "comparison_used": used,
        "effective_comparison": total**2 / square if square else 0.0,
        "largest_weight": float(weights.max(initial=0.0)) / total if total else float("nan"),
        "tied": tied,
    }


def _check_columns(design: Design, matcher: Matcher) -> None:
    for name in matcher.needs:
        if name not in design.panel.baseline_names:
            raise ColumnError(
                "EI-M03",
                f"{name!r} is not a baseline column of the panel, so that firms cannot be matched "
                f"on it. {did_you_mean(name, design.panel.baseline_names)} Name it in "
                "Panel.from_frame(baseline=[...]).",
                column=name,
            )
    if matcher.uses_covariates and not design.covariates and not design.lags:
        raise InputError(
            "EI-M04",
            f"{type(matcher).__name__} matches on the covariates of the design, and it has none: "
            "any comparison firm would be as good as any other. Pass "
            "Design(..., covariates=[...]), or lags= to match on past outcomes.",
        )
    _check_known(design, matcher)


def _check_known(design: Design, matcher: Matcher) -> None:
    """Refuse a column that is known after support but not at the base periods."""
    calendar = design.panel.calendar
    bases = [calendar.index(design._identifier.last_before(g)) for g in design.cohorts]
    for name in dict.fromkeys((*design.covariate_names, *matcher.needs)):
        values = design.panel.baseline(name).values
        here = there = later = 0
        for cohort, base in zip(design.cohorts, bases, strict=True):
            firms = design.cohort_firms[cohort]
            if base is None:
                continue
            there += firms.size
            here += int(np.isfinite(values[firms, base]).sum())
            later += int(np.isfinite(values[firms, base + 1 :]).any(axis=1).sum())
        if there and here < 0.5 * there and later > here:
            raise InputError(
                "EI-M09",
                f"{name!r} is known for {here:,} of {there:,} supported firms at their base "
                f"period, and for {later:,} only later: it was measured after support, which may "
                "have changed it, so that matching on it would hide part of the effect. Match on "
                "its value before support, or leave it out.",
                column=name,
                known=here,
                later=later,
            )


def _without(risk: RiskSet) -> Message | None:
    if not risk.n_supported:
        return message("match.no_supported", cohort=risk.label)
    if not risk.comparison.size:
        return message("match.no_pool", cohort=risk.label)
    return None


_CODES = {
    "match.separated": "EI-M05",
    "match.no_overlap": "EI-M05",
    "match.cannot_balance": "EI-M05",
    "match.no_shared_stratum": "EI-M06",
    "match.nobody_near": "EI-M08",
}


def _nothing(failed: dict[int, Message]) -> NotIdentifiedError:
    reasons = {str(why): why.id for why in failed.values()}
    code = next((_CODES[id] for id in reasons.values() if id in _CODES), "EI-M12")
    listed = " ".join(list(reasons)[:4]) or "No cohort has its base period in the panel."
    return NotIdentifiedError(
        code,
        f"No supported firm could be matched, so that there is nothing to compare. {listed} "
        + _FIXES[code],
        reasons=tuple(reasons),
    )


_FIXES = {
    "EI-M05": "Drop the covariate that tells the two sides apart, or match on fewer covariates: "
    "where every supported firm differs from every other firm, no method can compare them.",
    "EI-M06": "Use fewer or coarser exact columns, or widen the comparison pool.",
    "EI-M08": "Widen or drop the caliper, or match on fewer columns; balance says what it costs.",
    "EI-M12": "Widen the comparison pool, state a shorter horizon, or fill in what is not known.",
}
