"""The design: sample, comparison pool, base periods and covariates, settled before outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

import numpy as np
import pandas as pd

from exportimpact._typing import (
    AnyArray,
    Base,
    Comparison,
    Dose,
    FloatArray,
    IntArray,
    Pool,
    Unbalanced,
)
from exportimpact.core import diagnostic
from exportimpact.core.account import SampleAccount
from exportimpact.core.cell import Cell
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.finding import Finding
from exportimpact.core.outcome import Outcome
from exportimpact.core.terms import Terms
from exportimpact.data import NEVER, AlignedSupport, Assignment, Calendar, Panel
from exportimpact.design import checks, facts
from exportimpact.design import covariates as covariate_matrix
from exportimpact.design.history import History
from exportimpact.design.identify import Identifier, Unidentified
from exportimpact.design.matching import Matcher, Matching, Thresholds
from exportimpact.design.matching.balance import balance_table
from exportimpact.design.matching.exhibits import exhibits as exhibits_of
from exportimpact.design.matching.terms import account_of, terms_of
from exportimpact.design.sample import Sample, draw_sample
from exportimpact.design.seal import seal_hash
from exportimpact.design.segments import Segment
from exportimpact.design.segments import within as among
from exportimpact.design.wide import Wide
from exportimpact.language import Message

_BEFORE_MATCHING = frozenset(
    {"aligned", "cohort_codes", "cohort_firms", "_sample", "_identifier", "_covariates", "_wide"}
)


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
    matcher, horizon, lags, thresholds
        As in `match`, which is the usual way to set them.
    segment : Segment, optional
        As in `within`, which is the usual way to set it.

    Raises
    ------
    InputError, ColumnError, NotIdentifiedError
        EI-D01 to EI-D14, of matching EI-M01 to EI-M12; each message says what to change.

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
    matcher: Matcher | None = None
    horizon: int | None = None
    lags: int = 0
    thresholds: Thresholds = field(default_factory=Thresholds)
    segment: Segment | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.covariates, str):
            object.__setattr__(self, "covariates", tuple(self.covariates))
        checks.check_options(self)
        checks.check_support(self)
        if self.matcher is not None:
            checks.check_matching(self)
        # Bad covariates and matches are refused here, not at the first estimate.
        self._identifier, self.matching  # noqa: B018

    def match(
        self,
        matcher: Matcher,
        *,
        horizon: int | None = None,
        lags: int = 0,
        thresholds: Thresholds | None = None,
    ) -> Design:
        """Return the design with comparison firms matched to supported firms.

        Each cohort is matched at its own base period, to firms that are unsupported then and
        through the horizon, on the covariates of the design; a firm may serve several cohorts.

        Parameters
        ----------
        matcher : Matcher
            From `exportimpact.matching`.
        horizon : int, optional
            Time since first support, as in the tables' event_time, through which comparison firms
            have to be unsupported; through the last period of the panel when not given.
        lags : int
            Outcomes up to the base period to match on beside the covariates: 1 is the base period
            itself. The effect then rests on firms with the same past being alike instead of on
            parallel trends; matching on levels and then differencing is biased by regression to the
            mean where selection is on the firm's level (Ding & Li 2019, doi:10.1017/pan.2019.25).
        thresholds : Thresholds, optional
            Limits of balance; results of a design that misses them are not causal.

        Raises
        ------
        InputError, ColumnError, NotIdentifiedError
            EI-M01 to EI-M12; each message says what to change.
        """
        other = object.__new__(Design)
        # What does not depend on matching has been worked out and checked: it is handed on.
        kept = {f.name for f in fields(Design)} | _BEFORE_MATCHING
        vars(other).update({name: value for name, value in vars(self).items() if name in kept})
        vars(other).update(
            matcher=matcher, horizon=horizon, lags=lags, thresholds=thresholds or Thresholds()
        )
        checks.check_matching(other)
        other.matching  # noqa: B018 - a match that cannot be made is refused here
        return other

    def within(
        self,
        column: str,
        category: str | float | None = None,
        *,
        at_least: float | None = None,
        below: float | None = None,
    ) -> Design:
        """Return the design among the firms of one segment, supported and comparison firms alike.

        Firms count by their category at the base period of the cohort that is estimated. Matching
        is made again within the segment, and a covariate that is constant there is left out. The
        new design is not sealed: what is looked at by segment has to be sealed by segment.

        Parameters
        ----------
        column : str
            Baseline column.
        category : str or float, optional
            The category, or a number that the column equals.
        at_least, below : float, optional
            Instead: the range of numbers, `below` excluded.

        Raises
        ------
        InputError, ColumnError, NotIdentifiedError
            EI-I12, EI-I13, EI-P33, EI-D07, EI-D08; each message says what to change.
        """
        return among(self, Segment(column=column, value=category, at_least=at_least, below=below))

    def balance(
        self, *, squares: bool = False, interactions: bool = False, cohort: int | None = None
    ) -> pd.DataFrame:
        """Return how alike supported and comparison firms are, before and after matching.

        Parameters
        ----------
        squares, interactions : bool
            Rows for squares of covariates that are no truth values, and for products of two.
        cohort : int, optional
            Only this cohort, as an ordinal.

        Returns
        -------
        DataFrame
            covariate, kind ("covariate", "score", "path" of the outcome before support), and with
            the endings _before and _after: mean_supported, mean_comparison, smd, variance_ratio
            (missing for truth values), ks. Differences are in standard deviations of all supported
            firms before matching; _after is missing in a design that is not matched.
        """
        if squares or interactions or cohort is not None:
            return balance_table(self, squares=squares, interactions=interactions, cohort=cohort)
        return self._balance.copy()

    def propagated(self, cell: Cell, psi: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return rows and influence of a cell, with the influence of estimated weights.

        Parameters
        ----------
        cell : Cell
        psi : (n_rows,)
            Influence at fixed weights, in the order of ``cell.rows``.
        """
        match = None if self.matching is None else self.matching.cohorts.get(cell.cohort)
        if match is None or not cell.matched:
            return cell.rows, psi
        units = match.risk.units_of(cell.supported, cell.comparison)
        return match.propagated(psi, units, cell.weights)

    def seal(self, *, exploratory: bool = False) -> SealedDesign:
        """Return the design with its hash; `exploratory` marks a seal that nobody asked for."""
        sealed = object.__new__(SealedDesign)
        # The checks have run and nothing changes: what this design has worked out is handed on.
        kept = {name: value for name, value in vars(self).items() if name != "facts"}
        vars(sealed).update(kept, hash=seal_hash(self), exploratory=exploratory)
        return sealed

    def cells(self, pool: Pool | None = None) -> Iterator[Cell]:
        """Yield the identified cells.

        Parameters
        ----------
        pool : str, optional
            Another pool than the design's: "others" compares with all other firms (step IV);
            "all_untreated" and "all_never" are for models of every untreated outcome (`history`).
        """
        lost: list[Unidentified] = []
        for found in self._found(pool):
            if isinstance(found, Cell):
                yield found
            else:
                lost.append(found)
        # Whoever walks through all cells is usually asked next which there are not.
        self._lost[pool] = tuple(lost)

    def wide(self) -> Wide:
        """Return outcome and covariates as arrays."""
        return self._wide

    def history(self) -> History:
        """Return every observation, told apart by whether support may have touched it."""
        return self._history

    def treatment(self, dose: Dose | None = None) -> FloatArray:
        """Return how much support each firm had in each period, (n_firms, n_periods).

        Parameters
        ----------
        dose : {"on", "amount"}, optional
            1 and 0, or the amount awarded in the period; by default the dose of a table of doses,
            else 1 and 0. NaN where not known.
        """
        return self.aligned.received(self.calendar.ordinals, dose)

    def members(self, cohort: int) -> IntArray:
        """Return the rows of the cohort's firms, increasing; of a matched design those kept."""
        match = None if self.matching is None else self.matching.cohorts.get(cohort)
        return self.cohort_firms[cohort] if match is None else match.kept

    def member_weights(self, cohort: int) -> FloatArray:
        """Return the weights of the cohort's firms at its base period, as given in the panel."""
        match = None if self.matching is None else self.matching.cohorts.get(cohort)
        if match is not None:
            return match.kept_weights
        return self._identifier.member_weights(cohort, self.members(cohort))

    @cached_property
    def matching(self) -> Matching | None:
        """The match: sizes, weights, pairs, and who was left out; None without a matcher."""
        return None if self.matcher is None else Matching.of(self, self.matcher)

    @cached_property
    def _balance(self) -> pd.DataFrame:
        return balance_table(self)

    @cached_property
    def terms(self) -> Terms:
        """Whose effect it is after matching, and how high results may climb."""
        return terms_of(self)

    @cached_property
    def aligned(self) -> AlignedSupport:
        """The support in the order of the panel's firms."""
        return self.support.align(self.panel)

    @cached_property
    def exhibits(self) -> tuple[Exhibit, ...]:
        """What a matched design has to show: sizes, balance, overlap, paths before support."""
        return exhibits_of(self)

    @property
    def covariate_names(self) -> tuple[str, ...]:
        """Baseline columns that the covariates are made of."""
        if not isinstance(self.covariates, str):
            return tuple(self.covariates)
        found = getattr(self._covariates, "variables", ())
        return tuple(n for n in self.panel.baseline_names if n in found)

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
        return account_of(self, self._sample.account)

    def not_identified(self, pool: Pool | None = None) -> tuple[tuple[int, int, Message], ...]:
        """Return the cells (cohort, period) that cannot be estimated, with the reason."""
        if pool not in self._lost:
            for _ in self.cells(pool):
                pass
        return self._lost[pool]

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
        only = self.segment
        segment = "" if only is None else f", only {only.column} = {only.label}"
        lines = [
            f"{type(self).__name__}: {self.outcome} ({self.outcome_spec.scale}), comparison "
            f"{self.comparison}, base {self.base}",
            f"  firms {firms:,}, firm-periods {firm_periods:,}{segment}",
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
            lead=self.calendar.step * (1 + self.anticipation),
            segment=self.segment,
        )

    @cached_property
    def cohort_firms(self) -> dict[int, IntArray]:
        """Rows of the firms of each cohort, matched or not, increasing."""
        sample = self._sample
        return {g: np.flatnonzero(sample.of_cohort(g)) for g in self.cohorts}

    def _found(self, pool: Pool | None) -> Iterator[Cell | Unidentified]:
        if pool == "all_untreated" or pool == "all_never":
            return self._history.cells(never=pool == "all_never")
        matching = self.matching if pool in (None, self.comparison) else None
        matches = None if matching is None else matching.cohorts
        return self._identifier.cells(pool or self.comparison, matches)

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
    def _lost(self) -> dict[Pool | None, tuple[Unidentified, ...]]:
        return {}

    @cached_property
    def _history(self) -> History:
        return History(self.panel, self._sample, self._wide, self.anticipation)

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


def in_tie_order(design: Design, seed: int) -> Design:
    """Return a matched design with equally near firms taken in a random order instead of by id."""
    other = object.__new__(type(design))
    kept = {k: v for k, v in vars(design).items() if k not in {"terms", "facts", "settings"}}
    assert design.matcher is not None
    order = np.random.default_rng(seed)
    vars(other).update(kept, matching=Matching.of(design, design.matcher, tie_order=order))
    return other
