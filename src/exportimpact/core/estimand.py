"""The effect that is asked for: it links an estimator, the truth of a scenario, and the report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from exportimpact._typing import Aggregation, Common, Comparison, Population, Scale
from exportimpact.core.notebook import Shown
from exportimpact.core.terms import Firms
from exportimpact.language import Message, message


@dataclass(frozen=True, kw_only=True)
class Estimand(Shown):
    """Average effect on supported firms, over stated cells, weighted in a stated way.

    Attributes
    ----------
    outcome, scale, unit
        The outcome, as declared.
    cells : tuple of (cohort, period)
        The (cohort, period) pairs that enter, as calendar ordinals (the year for yearly panels).
    aggregation : {"cell", "simple", "event_time", "cohort", "calendar"}
        "simple": cells weighted by the cohort's number (weight) of supported firms in the design.
        "event_time": within an event time weighted so, the overall is the plain mean over event
        times >= 0. "cohort": plain mean over a cohort's cells, the overall weighted by cohort size.
        "calendar": within a period weighted by cohort size, the overall is the mean over periods.
    key : int, tuple or None
        The row: (cohort, period), event time, cohort or period; None with `overall`, or for a table
        of several rows.
    overall : bool
        Whether this is the one-row summary of the aggregation.
    weights : {"design", "observed"}
        Whether cohort sizes are those of the design or those observed in each cell.
    comparison : {"never", "not_yet", "rejected"} or None
        The comparison pool; None when the effect does not depend on one.
    population : {"super", "sample"}
        Effect in the population that firms are drawn from, or on these very firms.
    segment : tuple of (column, value) or None
        Effect among the firms of one segment.
    reference : {"comparison", "typical"}
        Whether the counterfactual is that of comparison firms or of all other firms (step IV).
    firms : {"supported", "kept", "overlap"}
        Whose effect: of all supported firms, of those that found a match, or of supported firms
        weighted towards those that could as well not have been supported.
    kept, supported : int
        With "kept", how many of how many supported firms.
    common : {"none", "all", "event_time"}
        What the method holds equal: nothing; the effects of all cells since support, so that there
        is one number; or those of one event time. Where they differ, the number is another mean of
        them than the aggregation says.
    lost : int
        Cells since support that could not be estimated, and are no part of the effect.
    per_unit : bool
        Whether effects are divided by the support received.
    """

    outcome: str
    scale: Scale
    unit: str | None
    cells: tuple[tuple[int, int], ...]
    aggregation: Aggregation = "cell"
    key: int | tuple[int, int] | None = None
    overall: bool = False
    weights: Literal["design", "observed"] = "design"
    comparison: Comparison | None = None
    population: Population = "super"
    segment: tuple[str, str] | None = None
    reference: Literal["comparison", "typical"] = "comparison"
    firms: Firms = "supported"
    kept: int = 0
    supported: int = 0
    common: Common = "none"
    lost: int = 0
    per_unit: bool = False

    def at(self, key: int | tuple[int, int]) -> Estimand:
        """Return the estimand of the row `key` of a table with several rows."""
        return replace(self, key=key, overall=False)

    def in_population(self, population: Population) -> Estimand:
        """Return the same effect in the "super" population or the "sample"."""
        return replace(self, population=population)

    @property
    def words(self) -> Message:
        """The estimand in words."""
        row = "overall" if self.overall else ("table" if self.key is None else "row")
        kind = f"{self.aggregation}_{row}" if self.common == "none" else f"common_{self.common}"
        words = message(
            f"estimand.{kind}",
            firms=self.whose,
            outcome=self.outcome,
            scale=message(f"estimand_scale.{self.scale}", unit=self.unit or "its unit"),
            key=self.key if not isinstance(self.key, tuple) else f"{self.key[0]}, {self.key[1]}",
            weights=message(f"estimand_weights.{self.weights}"),
            cells=self._cells,
        )
        return message("estimand.per_unit", effect=words) if self.per_unit else words

    @property
    def whose(self) -> Message:
        """Whose effect it is, in words."""
        firms = message(f"estimand_firms.{self.firms}", kept=self.kept, supported=self.supported)
        if self.segment is None:
            return firms
        column, value = self.segment
        return message("estimand_firms.segment", firms=firms, column=column, value=value)

    @property
    def _cells(self) -> Message:
        times = [period - cohort for cohort, period in self.cells]
        return message(
            "estimand.cells_lost" if self.lost else "estimand.cells",
            cells=len(self.cells),
            cohorts=len({cohort for cohort, _ in self.cells}),
            low=min(times, default=0),
            high=max(times, default=0),
            lost=self.lost,
        )

    def __str__(self) -> str:
        return str(self.words)
