"""The design: sample, comparison pool, base periods and covariates, settled before outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from exportimpact._typing import (
    AnyArray,
    Base,
    Comparison,
    FloatArray,
    IntArray,
    Pool,
    Unbalanced,
)
from exportimpact.core import diagnostic
from exportimpact.core.account import SampleAccount
from exportimpact.core.cell import Cell
from exportimpact.core.finding import Finding
from exportimpact.core.outcome import Outcome
from exportimpact.data import NEVER, AlignedSupport, Assignment, Calendar, Panel
from exportimpact.design import checks, facts
from exportimpact.design import covariates as covariate_matrix
from exportimpact.design.identify import Identifier
from exportimpact.design.sample import Sample, draw_sample
from exportimpact.design.seal import seal_hash
from exportimpact.design.wide import Wide
from exportimpact.language import Message


@dataclass(frozen=True, eq=False, repr=False)
class Design:
    """Who is compared with whom, when, and on what; no outcome after support is looked at.

    Parameters
    ----------
    panel : Panel
    support : Assignment
    outcome : str
        Name of one outcome of the panel.
    comparison : {"never", "not_yet", "rejected"}
        Firms never supported (with those first supported after the panel), firms not yet supported
        as well, or firms that applied in the cohort's round and were not awarded.
    covariates : sequence of str, or formula
        Baseline columns, read at each comparison's base period.
    anticipation : int
        Periods before support in which firms may already react.
    base : {"universal", "varying"}
        Every cell against the last period before support (and anticipation), or cells before
        support against the period before each.
    unbalanced : {"pairwise", "balanced", "error"}
        A firm counts in each comparison for which it is observed at both ends, only when observed
        in every period, or incomplete firms are an error.
    assigned_at : str, optional
        Baseline or cluster column of the level at which support was assigned.
    never : {"loosely", "strictly"}
        Whether firms first supported after the last period count as never supported.
    min_supported : int
        Cohorts with fewer supported firms leave the design, with a reason.

    Raises
    ------
    InputError, ColumnError, NotIdentifiedError
        EI-D01 to EI-D11; each message says what to change.

    Examples
    --------
    >>> import pandas as pd
    >>> from exportimpact import Assignment, Design, Outcome, Panel
    >>> frame = pd.DataFrame(
    ...     {
    ...         "firm": [1, 1, 2, 2, 3, 3],
    ...         "year": [2020, 2021] * 3,
    ...         "sales": [1.0, 3.0, 1.0, 2.0, 2.0, 3.0],
    ...     }
    ... )
    >>> panel = Panel.from_frame(frame, unit="firm", period="year", outcomes=["sales"])
    >>> awards = pd.DataFrame({"firm": [1], "year": [2021]})
    >>> design = Design(
    ...     panel, Assignment.from_spells(awards, unit="firm", start="year"), outcome="sales"
    ... )
    >>> [(cell.cohort, cell.period, cell.comparison.size) for cell in design.cells()]
    [(2021, 2021, 2)]
    """

    panel: Panel
    support: Assignment
    _: KW_ONLY
    outcome: str
    comparison: Comparison = "never"
    covariates: tuple[str, ...] | list[str] | str = ()
    anticipation: int = 0
    base: Base = "universal"
    unbalanced: Unbalanced = "pairwise"
    assigned_at: str | None = None
    never: Literal["loosely", "strictly"] = "loosely"
    min_supported: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.covariates, str):
            object.__setattr__(self, "covariates", tuple(self.covariates))
        checks.check_options(self)
        checks.check_support(self)
        self._identifier  # noqa: B018 - bad covariates are refused here, not at the first estimate

    def seal(self, *, exploratory: bool = False) -> SealedDesign:
        """Return the design with its hash; `exploratory` marks a seal that nobody asked for."""
        sealed = object.__new__(SealedDesign)
        # The checks have run and nothing changes: what this design has worked out is handed on.
        kept = {name: value for name, value in vars(self).items() if name != "facts"}
        vars(sealed).update(kept, hash=seal_hash(self), exploratory=exploratory)
        return sealed

    def cells(self, pool: Pool | None = None) -> Iterator[Cell]:
        """Yield the identified cells; `pool` "others" compares with all other firms (step IV)."""
        for found in self._identifier.cells(pool or self.comparison):
            if isinstance(found, Cell):
                yield found

    def wide(self) -> Wide:
        """Return outcome and covariates as arrays."""
        return self._wide

    def members(self, cohort: int) -> IntArray:
        """Return the rows of the cohort's firms, increasing."""
        return self._members[cohort]

    def member_weights(self, cohort: int) -> FloatArray:
        """Return the weights of the cohort's firms at its base period, as given in the panel."""
        return self._identifier.member_weights(cohort, self.members(cohort))

    @cached_property
    def aligned(self) -> AlignedSupport:
        """The support in the order of the panel's firms."""
        return self.support.align(self.panel)

    @property
    def outcome_spec(self) -> Outcome:
        """The outcome, as declared."""
        return self.panel.outcome(self.outcome)

    @property
    def units(self) -> AnyArray:
        """Firm ids in the order of rows."""
        return self.panel.units

    @property
    def calendar(self) -> Calendar:
        """The panel's calendar."""
        return self.panel.calendar

    @property
    def cohorts(self) -> tuple[int, ...]:
        """Ordinals at which firms of the design are first supported."""
        return tuple(int(g) for g in self._sample.cohorts)

    @cached_property
    def cohort_codes(self) -> IntArray:
        """0 for firms without a cohort, then 1, 2, ... for the cohorts in order, (n_firms,)."""
        first = np.where(self._sample.inside, self._sample.first, NEVER)
        place = np.searchsorted(self._sample.cohorts, first) + 1
        return np.where(np.isin(first, self._sample.cohorts), place, 0).astype(np.int64)

    @property
    def cluster_codes(self) -> IntArray | None:
        """Cluster of each firm, or None when the firm is the cluster."""
        by_firm = self.panel.cluster in (None, self.panel.unit)
        return None if by_firm else self.panel.cluster_codes

    @property
    def account(self) -> SampleAccount:
        """What left between the files and the design."""
        return self._sample.account

    def not_identified(self, pool: Pool | None = None) -> tuple[tuple[int, int, Message], ...]:
        """Return the cells (cohort, period) that cannot be estimated, with the reason."""
        found = self._identifier.cells(pool or self.comparison)
        return tuple(cell for cell in found if not isinstance(cell, Cell))

    @cached_property
    def assumes(self) -> tuple[str, ...]:
        """Assumptions that any effect estimated on the design rests on, whatever the method."""
        return facts.assumed(self)

    @cached_property
    def facts(self) -> tuple[Message, ...]:
        """What a reader of any result from this design must know."""
        return facts.of(self)

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """The options as plain values, for the seal and the manifest."""
        return checks.settings_of(self)

    def __repr__(self) -> str:
        firms, firm_periods = self.account.remaining
        lines = [
            f"{type(self).__name__}: {self.outcome} ({self.outcome_spec.scale}), comparison "
            f"{self.comparison}, base {self.base}",
            f"  firms {firms:,}, firm-periods {firm_periods:,}",
            *(
                f"  supported from {self.calendar.label(g)}: {self.members(g).size:,} firms"
                for g in self.cohorts[:8]
            ),
            f"  comparison pool (never): {int(self._sample.in_never_pool.sum()):,} firms",
            f"  covariates: {self.covariates or 'none'}; unbalanced {self.unbalanced}",
        ]
        if len(self.cohorts) > 8:
            lines.insert(-2, f"  ... {len(self.cohorts) - 8} more cohorts")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(repr(self))}</pre>"

    @cached_property
    def _sample(self) -> Sample:
        return draw_sample(
            self.panel,
            self.aligned,
            self.outcome_spec,
            unbalanced=self.unbalanced,
            comparison=self.comparison,
            strictly_never=self.never == "strictly",
            min_supported=self.min_supported,
        )

    @cached_property
    def _members(self) -> dict[int, IntArray]:
        sample = self._sample
        return {g: np.flatnonzero(sample.inside & (sample.first == g)) for g in self.cohorts}

    @cached_property
    def _identifier(self) -> Identifier:
        return Identifier(
            panel=self.panel,
            support=self.aligned,
            sample=self._sample,
            wide=self._wide,
            anticipation=self.anticipation,
            base=self.base,
        )

    @cached_property
    def _covariates(self) -> covariate_matrix.Covariates | None:
        if not self.covariates:
            return None
        asked = self.covariates if isinstance(self.covariates, str) else tuple(self.covariates)
        bases = [g - self.calendar.step * (1 + self.anticipation) for g in self.cohorts]
        known = [i for b in bases if (i := self.calendar.index(b)) is not None]
        return covariate_matrix.build(self.panel, asked, np.unique(known).astype(np.int64))

    @cached_property
    def _wide(self) -> Wide:
        return Wide(self._sample.y, self._covariates)


@dataclass(frozen=True, eq=False, repr=False)
class SealedDesign(Design):
    """A design with its hash.

    Attributes
    ----------
    hash : str
        SHA-256 of the settings and the pre-support data.
    exploratory : bool
        True when the package sealed it because the user had not.
    """

    hash: str = ""
    exploratory: bool = False

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Findings on the design: cohort sizes, linkage, level of assignment, overlap."""
        return diagnostic.run("design", self)

    def __repr__(self) -> str:
        mark = "exploratory, " if self.exploratory else ""
        return f"{super().__repr__()}\n  sealed ({mark}{self.hash[:12]})"
