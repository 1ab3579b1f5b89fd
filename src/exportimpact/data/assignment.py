"""Who was supported when: from support spells or first periods, put on a panel's calendar."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from exportimpact._typing import Already
from exportimpact.data.alignment import AlignedSupport, align
from exportimpact.data.cards import html_card, listed, text_card
from exportimpact.data.doses import read_doses
from exportimpact.data.first_periods import read_first_periods
from exportimpact.data.panel import Panel
from exportimpact.data.spells import SpellColumns, Spells, read_spells
from exportimpact.errors import InputError, did_you_mean

Others: TypeAlias = Literal["drop_comparison", "ignore", "censor"]
ALREADY = get_args(Already)
OTHERS = ("drop_comparison", "ignore", "censor")


@dataclass(frozen=True, eq=False, repr=False)
class Assignment:
    """Support of firms, made by `from_spells` or `from_first_period`, never changed.

    Rules that change numbers:

    - A row of spells is an award unless `awarded` says no.
    - Two awards of a firm in one period are one start, with amounts summed.
    - A spell without an `end` column lasts for its start period; with one, a missing end means that
      support still runs. First periods alone: support lasts from there on.
    - A date falls into the panel's period that contains it. A start between two periods of a
      coarser grid moves to the next one, and is counted; so does the round of an application.
    - The first start defines the cohort; support that stops or comes again does not change it, and
      is counted.
    - A firm first supported after the panel's last period is `after_panel`, one first supported at
      or before its first period is `before_panel` and excluded with a reason.
    - Awarded firms that the panel does not have are counted as not linked, by programme. Ids are
      compared as they are: 7 is not "7", and "007" is not "7".
    - Never supported is a missing value (pd.NA). 0, -1, 9999, inf and dates such as 9999-12-31 are
      refused.
    - The round of an application is its `applied` period, and its start where that is missing. A
      firm rejected and awarded in the same round is not rejected in it.
    - Programmes overlap by awards up to the panel's last period.

    Attributes
    ----------
    spells : Spells
        The rows.
    programme : str or None
        The programme in focus; None: first support of any kind.
    others : {"drop_comparison", "ignore", "censor"}
        What support by other programmes does.
    """

    spells: Spells
    programme: str | None = None
    others: Others = "ignore"

    @classmethod
    def from_spells(
        cls,
        spells: Any,
        *,
        unit: str,
        start: str,
        programme: str | None = None,
        amount: str | None = None,
        end: str | None = None,
        applied: str | None = None,
        score: str | None = None,
        awarded: str | None = None,
    ) -> Assignment:
        """Return the assignment of a table with one row per award or application.

        Parameters
        ----------
        spells : pandas, polars or Arrow data frame
        unit, start : str
            Columns with the firm's id, of the panel's type, and the period of the award: whole
            numbers such as 2019, or dates.
        programme, amount, end : str, optional
            Columns with the programme's name, the amount (at least 0; missing is unknown), and the
            last supported period.
        applied, score, awarded : str, optional
            Columns with the period of the application, its score, and whether it was awarded.

        Raises
        ------
        ProblemsError
            Everything that is wrong with the table together, each with its EI-A code.
        ColumnError
            EI-A03 when the only problem is one column that does not exist.
        """
        columns = SpellColumns(
            unit=unit,
            start=start,
            programme=programme,
            amount=amount,
            end=end,
            applied=applied,
            score=score,
            awarded=awarded,
        )
        return cls(read_spells(spells, columns))

    @classmethod
    def from_first_period(cls, frame: Any, *, unit: str, first_period: str) -> Assignment:
        """Return the assignment of a table that gives each firm's first supported period.

        Parameters
        ----------
        frame : pandas, polars or Arrow data frame
            One row per firm, or per firm and period with the same value in each.
        unit, first_period : str
            Columns with the firm's id and its first supported period; missing is never.

        Raises
        ------
        ProblemsError
            EI-A07 for stand-ins such as 0 or 9999, EI-A14 when the value changes within a firm.
        """
        return cls(read_first_periods(frame, unit=unit, first_period=first_period))

    @classmethod
    def from_doses(
        cls,
        frame: Any,
        *,
        unit: str,
        period: str,
        dose: str,
        programme: str | None = None,
        already: Already = "drop",
    ) -> Assignment:
        """Return the assignment of a table that says how much support a firm had in each period.

        A firm's first period whose dose differs from its first known dose is its first change and
        defines the cohort; what comes after (more, less, none, again) is its path. Before the first
        change, a gap between two equal doses is closed; every other period whose dose is not known
        leaves the sample, because the firm may have been supported then. A firm without any dose
        leaves too.

        Parameters
        ----------
        frame : pandas, polars or Arrow data frame
            One row per firm and period; the panel's own frame will do.
        unit, period, dose : str
            Columns with the firm's id, of the panel's type, the period, and the dose: a number of
            at least 0; missing is not known.
        programme : str, optional
            Name of the programme whose doses these are.
        already : {"drop", "keep"}
            Firms whose first known dose is above 0 count as supported before the panel and are left
            out, or are kept, to be compared with firms of the same first dose; only estimators that
            can do so take such a design.

        Raises
        ------
        ProblemsError
            EI-A19 for doses that are no numbers of at least 0, EI-A22 for rows without a period.
        InputError
            EI-A20 for several rows of a firm and period, EI-A21 when no dose changes from 0 (with
            "keep", at all), EI-A13 for another value of `already`.

        Examples
        --------
        >>> import pandas as pd
        >>> frame = pd.DataFrame(
        ...     {
        ...         "firm": [1, 1, 1, 2, 2, 2],
        ...         "year": [2020, 2021, 2022] * 2,
        ...         "vouchers": [0, 2, 1, 0, 0, 0],
        ...     }
        ... )
        >>> Assignment.from_doses(frame, unit="firm", period="year", dose="vouchers")
        Assignment: 1 awards to 1 firms
          unit        firm
          start       year, 2021 to 2021
          programmes  support
          focus       first support of any kind
        """
        if already not in ALREADY:
            raise InputError(
                "EI-A13",
                f"already={already!r} is not an option; it decides whether firms that start with "
                f"support are compared. {did_you_mean(str(already), ALREADY)}",
                option=already,
            )
        spells = read_doses(
            frame, unit=unit, period=period, dose=dose, programme=programme, already=already
        )
        return cls(spells, programme=programme)

    @property
    def programmes(self) -> tuple[str, ...]:
        """Names of all programmes."""
        return self.spells.programmes

    def focus(self, programme: str, *, others: Others = "drop_comparison") -> Assignment:
        """Return the assignment whose starts are first support by one programme.

        Parameters
        ----------
        programme : str
        others : {"drop_comparison", "ignore", "censor"}
            "drop_comparison": firms with support by others leave the comparison pool. "ignore":
            others do not matter. "censor": a firm's periods from its first support by others on
            are not used.

        Raises
        ------
        InputError
            EI-A12 for a programme without an award, EI-A13 for an unknown rule.
        """
        if others not in OTHERS:
            raise InputError(
                "EI-A13",
                f"others={others!r} is not an option; it decides whether firms with other support "
                f"serve as comparison. {did_you_mean(str(others), OTHERS)}",
                option=others,
            )
        spells = self.spells
        awarded = {spells.programmes[c] for c in np.unique(spells.programme[spells.awarded])}
        if programme not in awarded:
            raise InputError(
                "EI-A12",
                f"No award is by programme {programme!r}, so its effect cannot be estimated. "
                + did_you_mean(str(programme), sorted(awarded))
                + " Programmes come from programme= of Assignment.from_spells.",
                programme=programme,
            )
        return replace(self, programme=programme, others=others)

    def align(self, panel: Panel) -> AlignedSupport:
        """Return the support of the panel's firms on the panel's calendar.

        Raises
        ------
        InputError
            EI-A15 when no awarded firm is in the panel, EI-A16 when periods cannot be matched.
        """
        return align(self.spells, self.programme, self.others, panel)

    def _card(self) -> tuple[str, list[tuple[str, str]]]:
        spells = self.spells
        awards = spells.awarded
        starts = spells.start.values[awards]
        firms = len(np.unique(spells.firm[awards]))
        title = f"Assignment: {int(awards.sum()):,} awards to {firms:,} firms"
        rows = [
            ("unit", spells.unit),
            ("start", f"{spells.start.name}, {starts.min()} to {starts.max()}"),
            ("programmes", listed(spells.programmes)),
            ("focus", self.programme or "first support of any kind"),
        ]
        if self.programme:
            rows.append(("others", self.others))
        if spells.has_applications:
            rows.append(("rejected", f"{int((~awards).sum()):,} applications"))
        return title, rows

    def __repr__(self) -> str:
        return text_card(*self._card())

    def _repr_html_(self) -> str:
        return html_card(*self._card())
