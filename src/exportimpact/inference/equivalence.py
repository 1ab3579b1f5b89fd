"""Are trends before support shown to be close, rather than not shown to differ.

A test of no difference is passed by any panel that is small enough. An equivalence test is passed
only by one that rules out differences of a stated size (Dette & Schumann 2024,
doi:10.1080/07350015.2024.2308121).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from exportimpact.core.estimand import Estimand
from exportimpact.core.notebook import tables_html
from exportimpact.core.result import EstimationResult, check_level
from exportimpact.errors import InputError
from exportimpact.inference.leads import event_time_leads
from exportimpact.language import Message, message
from exportimpact.numerics import pretrends


@dataclass(frozen=True, eq=False, repr=False)
class EquivalenceTest:
    """Whether all effects before support are shown to be within a margin of zero.

    Attributes
    ----------
    estimand : Estimand
        Of the effects by time since first support.
    margin : float
        In the outcome's unit.
    level : float
        The test is at one less it.
    p_value : float
        Of the null that some effect before support is at least as large as the margin.
    smallest_margin : float
        The least margin that the same test would accept.
    leads : DataFrame
        event_time, estimate, std_error, p_value (of each by itself).
    notes : tuple of Message
    """

    estimand: Estimand
    margin: float
    level: float
    p_value: float
    smallest_margin: float
    leads: pd.DataFrame
    notes: tuple[Message, ...]

    @property
    def equivalent(self) -> bool:
        """Whether differences as large as the margin are ruled out."""
        return self.p_value <= 1 - self.level

    def table(self) -> pd.DataFrame:
        """Return one row per effect before support.

        Returns
        -------
        DataFrame
            outcome, event_time, estimate, std_error, p_value, margin.
        """
        frame = self.leads.assign(margin=self.margin)
        frame.insert(0, "outcome", self.estimand.outcome)
        return frame

    @property
    def statement(self) -> Message:
        """What the test says, in words."""
        return message(
            f"equivalence.{'shown' if self.equivalent else 'not_shown'}",
            leads=len(self.leads),
            margin=self.margin,
            p=self.p_value,
            percent=100 * (1 - self.level),
            least=self.smallest_margin,
        )

    def __repr__(self) -> str:
        lines = [str(self.statement)]
        shown = self.leads.head(12)
        lines += shown.to_string(index=False, float_format=lambda v: f"{v:.4g}").splitlines()
        lines += [f"Note: {note}" for note in self.notes]
        return "\n".join(lines[:20])

    def _repr_html_(self) -> str:
        return tables_html(self.statement, [self.table()], self.notes)


def equivalence_test(
    result: EstimationResult, margin: float, *, level: float = 0.95
) -> EquivalenceTest:
    """Test whether every effect before support, by event time, is within a margin of zero.

    Parameters
    ----------
    result : EstimationResult
        Cells, as the estimator returned them.
    margin : float
        The smallest difference that would matter, in the outcome's unit (0.05 of a log is about
        5 %), stated before looking.
    level : float
        0.95 is a test at 5 %.

    Returns
    -------
    EquivalenceTest
        ``.p_value``, ``.equivalent``, ``.smallest_margin``, ``.table()``.

    Raises
    ------
    InputError
        EI-I43 for a margin that is not above zero.
    NotIdentifiedError
        EI-I41 where no effect before support has an error.
    CapabilityError
        EI-I03 for an aggregate.

    Notes
    -----
    Two one-sided t tests of each effect (Schuirmann 1987, doi:10.1007/BF01068419); all of them have
    to reject, so that none is adjusted for their number (Berger & Hsu 1996,
    doi:10.1214/ss/1032280304). It controls the maximum, as the first test of Dette & Schumann
    (2024), doi:10.1080/07350015.2024.2308121. That effects before support are small does not show
    that trends since would have been alike.

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    >>> found = ei.equivalence_test(ei.did.GroupTime().estimate(design), margin=0.5)
    >>> found.equivalent
    True
    """
    check_level(level)
    if not (math.isfinite(margin) and margin > 0):
        raise InputError(
            "EI-I43",
            f"margin={margin!r} is no margin: it is the smallest difference before support that "
            "would matter, above 0 and in the outcome's unit, and decides what the test is about. "
            "Write margin=0.05 for 5 % of an outcome in logs.",
            margin=margin,
        )
    path, rows = event_time_leads(result)
    frame = path.table(detail=True).iloc[rows]
    b, error, df = frame[["estimate", "std_error", "df"]].to_numpy(dtype=float).T
    found = pretrends.equivalence(b, error, df, margin, 1 - level)
    leads = frame[["event_time", "estimate", "std_error"]].reset_index(drop=True)
    return EquivalenceTest(
        estimand=path.estimand,
        margin=float(margin),
        level=level,
        p_value=found.p_value,
        smallest_margin=found.smallest_margin,
        leads=leads.assign(p_value=found.p_values),
        notes=tuple(_notes(result)),
    )


def _notes(result: EstimationResult) -> list[Message]:
    notes = []
    if result.provenance.settings.get("base") == "varying":
        notes.append(message("equivalence.varying"))
    if result.provenance.lags:
        notes.append(message("pretrend.matched", lags=result.provenance.lags))
    return notes
