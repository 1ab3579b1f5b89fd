"""What `margins` returns: rows with errors, in one table, with what they assume in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact.core.estimand import Estimand
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.notebook import tables_html
from exportimpact.core.result import check_level
from exportimpact.core.step import Step
from exportimpact.language import Message, message
from exportimpact.numerics.distributions import t_quantile
from exportimpact.numerics.lee import imbens_manski

_BRIEF = ("total", "extensive", "intensive_raw", "intensive_low", "intensive_high",
          "intensive_effect", "extensive_part", "intensive_part")  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class MarginRow:
    """One estimate.

    Attributes
    ----------
    quantity : str
    estimate, std_error, df : float
        Degrees of freedom of the t reference; NaN where there is no interval.
    unit : str
    supported, comparison : float
        The two sides of the difference, NaN where the row is none.
    n_supported, n_comparison : int
        Firms that enter; of intensive rows, those that exported.
    """

    quantity: str
    estimate: float
    std_error: float
    df: float
    unit: str
    supported: float
    comparison: float
    n_supported: int
    n_comparison: int


@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Margins:
    """Total effect on an outcome with zeros, its two margins, bounds, and what adds up to it.

    Attributes
    ----------
    estimand : Estimand
        Of the total effect; ``str(margins.estimand)`` says it in words.
    step : Step
        Rung of the OECD ladder.
    rows : tuple of MarginRow
    by_category : tuple of MarginRow
        Extensive margin of each category of `tighten`, in `quantity` its name.
    tighten : str or None
    trimmed : float
        Share of exporters that the bounds leave out, of the side with the larger participation.
    assumptions, notes : tuple of Message
        What the effects rest on, and what a reader must know.
    """

    estimand: Estimand
    step: Step
    rows: tuple[MarginRow, ...]
    by_category: tuple[MarginRow, ...]
    tighten: str | None
    trimmed: float
    assumptions: tuple[Message, ...]
    notes: tuple[Message, ...]

    def table(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return one row per quantity.

        Parameters
        ----------
        level : float
            Coverage of the intervals.

        Returns
        -------
        DataFrame
            quantity, estimate, std_error, ci_low, ci_high, unit, supported and comparison (the two
            sides of a difference), n_supported, n_comparison. Rows intensive_effect and log_effect
            have no estimate: their interval covers the effect on those that export with and without
            support, wherever between the bounds it lies (Imbens & Manski 2004).
        """
        check_level(level)
        frame = _frame(self.rows, level)
        for margin in ("intensive", "log"):
            frame = self._with_effect(frame, margin, level)
        return frame

    def categories(self, *, level: float = 0.95) -> pd.DataFrame:
        """Return the extensive margin by category of `tighten`; no rows without it.

        Under monotone selection all have one sign.
        """
        check_level(level)
        frame = _frame(self.by_category, level)
        return frame.rename(columns={"quantity": "category"})

    @property
    def exhibit(self) -> Exhibit:
        """The table with words for every row, for a report."""
        table = self.table()
        label = [str(message(f"margin.{name}")) for name in table["quantity"]]
        table.insert(0, "label", label)
        table.insert(0, "outcome", self.estimand.outcome)
        return Exhibit("margins", "margins", table, notes=(*self.assumptions, *self.notes))

    def __repr__(self) -> str:
        table = self.table().set_index("quantity").loc[list(_BRIEF)].reset_index()
        columns = ["quantity", "estimate", "std_error", "ci_low", "ci_high", "unit"]
        shown = table[columns].to_string(index=False, float_format=lambda v: f"{v:,.4g}", na_rep="")
        lines = [self._title, *shown.splitlines()]
        lines += [f"Assumed: {a}" for a in self.assumptions]
        room = 20 - len(lines)
        lines += [f"Note: {note}" for note in self.notes[:room]]
        if len(self.notes) > room:
            lines[-1] = f"{len(self.notes) - room + 1} more notes, see .notes"
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        said = [*(f"Assumed: {a}" for a in self.assumptions), *map(str, self.notes)]
        exhibit = self.exhibit.table.drop(columns=["outcome", "quantity"])
        return tables_html(self._title, [exhibit], said)

    @property
    def _title(self) -> str:
        causal = "" if self.step.is_causal else ", not causal"
        return f"Margins (step {self.step}{causal}): {self.estimand}"

    def _with_effect(self, frame: pd.DataFrame, margin: str, level: float) -> pd.DataFrame:
        """Return the table with a row for the effect between its bounds."""
        rows = {row.quantity: row for row in self.rows}
        low, high = rows[f"{margin}_low"], rows[f"{margin}_high"]
        ends = imbens_manski(
            low.estimate,
            high.estimate,
            (low.std_error, high.std_error),
            level=level,
            df=min(low.df, high.df),
        )
        at = int(np.flatnonzero(frame["quantity"] == high.quantity)[0]) + 1
        effect = frame.iloc[[at - 1]].assign(
            quantity=f"{margin}_effect",
            estimate=np.nan,
            std_error=np.nan,
            ci_low=ends[0],
            ci_high=ends[1],
            supported=np.nan,
            comparison=np.nan,
        )
        return pd.concat([frame.iloc[:at], effect, frame.iloc[at:]], ignore_index=True)


def _frame(rows: tuple[MarginRow, ...], level: float) -> pd.DataFrame:
    columns = ["quantity", "estimate", "std_error", "unit", "supported", "comparison"]
    columns += ["n_supported", "n_comparison"]
    frame = pd.DataFrame([[getattr(row, c) for c in columns] for row in rows], columns=columns)
    df = np.array([row.df for row in rows], dtype=float)
    half = t_quantile(0.5 + level / 2, df) * frame["std_error"].to_numpy(dtype=float)
    frame.insert(3, "ci_low", frame["estimate"] - half)
    frame.insert(4, "ci_high", frame["estimate"] + half)
    return frame
