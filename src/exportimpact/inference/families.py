"""p-values of several outcomes, adjusted for how many were looked at.

With ten outcomes and no effect on any, one is significant at 5 % in four studies of ten. A family
is what is adjusted together: the outcomes from which a success would be picked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from exportimpact._typing import Aggregation, FloatArray
from exportimpact.core.joint import Joint
from exportimpact.core.result import AGGREGATIONS, EstimationResult, check_option
from exportimpact.errors import InputError
from exportimpact.numerics.multiple import benjamini_hochberg, holm, step_down

Method: TypeAlias = Literal["romano_wolf", "holm", "benjamini_hochberg"]
_ONE = "all"


def adjust(
    results: Iterable[EstimationResult] | Mapping[str, Iterable[EstimationResult]],
    *,
    method: Method = "romano_wolf",
    by: Aggregation = "simple",
) -> pd.DataFrame:
    """Return the overall effect on each outcome with p-values adjusted within its family.

    Parameters
    ----------
    results : sequence of EstimationResult, or mapping of family to such a sequence
        Cells, as estimators return them, one for each outcome; a sequence is one family.
    method : {"romano_wolf", "holm", "benjamini_hochberg"}
        Romano and Wolf's step-down and Holm's keep the chance of any false rejection in a family
        below the level; the first uses how the estimates move together and is never more cautious.
        Benjamini and Hochberg's keeps the expected share of false ones among the rejections below
        it, where estimates are independent or move together.
    by : {"simple", "event_time", "cohort", "calendar"}
        Which average, as in ``result.overall(by)``.

    Returns
    -------
    DataFrame
        family, outcome, estimator, estimate, std_error, p_value, p_adjusted; no p_adjusted where
        there is no p_value, which then counts for nothing.

    Raises
    ------
    InputError
        EI-I44 for what is no family of results, EI-I45 where results of a family are not of the
        same firms and `method` needs their covariance, EI-I08 for an unknown option.
    StoredResultError
        EI-I04 for a result read from JSON, with ``method="romano_wolf"``.
    CapabilityError
        EI-I03 for a result that is an aggregate already.

    References
    ----------
    Romano & Wolf (2005), doi:10.1111/j.1468-0262.2005.00615.x, with the joint multivariate t of the
    estimates in place of resampling; Holm (1979), https://www.jstor.org/stable/4615733; Benjamini &
    Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("voucher").draw(n_firms=400, n_periods=8, seed=1)
    >>> designs = [
    ...     ei.Design(bench.panel, bench.support, outcome=o.name) for o in bench.panel.outcomes
    ... ]
    >>> found = ei.adjust([ei.did.GroupTime().estimate(d) for d in designs])
    >>> bool((found["p_adjusted"] >= found["p_value"]).all())
    True
    """
    check_option("method", method, get_args(Method))
    check_option("by", by, AGGREGATIONS)
    families = results if isinstance(results, Mapping) else {_ONE: results}
    tables = [_family(str(name), list(own), method, by) for name, own in families.items()]
    if not tables:
        raise _no_family("results is empty")
    return pd.concat(tables, ignore_index=True)


def _family(
    name: str, results: list[EstimationResult], method: Method, by: Aggregation
) -> pd.DataFrame:
    if not results or not all(isinstance(r, EstimationResult) for r in results):
        kinds = ", ".join(sorted({type(r).__name__ for r in results})) or "nothing"
        raise _no_family(f"the family {name!r} holds {kinds}")
    rows = [result.overall(by) for result in results]
    table = pd.concat([row.table() for row in rows], ignore_index=True)
    p = table["p_value"].to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "family": name,
            "outcome": table["outcome"],
            "estimator": [result.provenance.estimator for result in results],
            "estimate": table["estimate"],
            "std_error": table["std_error"],
            "p_value": p,
            "p_adjusted": _adjusted(p, rows, method),
        }
    )


def _adjusted(p: FloatArray, rows: list[EstimationResult], method: Method) -> FloatArray:
    if method == "holm":
        return holm(p)
    if method == "benjamini_hochberg":
        return benjamini_hochberg(p)
    first = rows[0]
    for other in rows[1:]:
        if not _same_firms(first, other):
            raise InputError(
                "EI-I45",
                f"The results for {first.estimand.outcome!r} and {other.estimand.outcome!r} are "
                "not of one panel with the same firms and clusters, so that it is not known how "
                "they move together. Read all outcomes into one panel (outcomes=[...]), or pass "
                'method="holm", which holds whatever the dependence.',
                outcomes=(first.estimand.outcome, other.estimand.outcome),
            )
    joint = Joint.of(rows)
    errors = joint.errors(np.eye(len(rows)))
    return step_down(p, errors.covariance, errors.df)


def _same_firms(a: EstimationResult, b: EstimationResult) -> bool:
    if a.design is None or b.design is None:
        return True  # refused with EI-I04, which says what to do
    codes = [r.design.cluster_codes for r in (a, b)]
    if (codes[0] is None) != (codes[1] is None):
        return False
    same = codes[0] is None or np.array_equal(codes[0], codes[1])
    return same and np.array_equal(a.design.units, b.design.units)


def _no_family(what: str) -> InputError:
    return InputError(
        "EI-I44",
        f"There is nothing to adjust: {what}. A family is the results of the outcomes among which "
        "a success would be picked, and their number is what p-values are adjusted for. Pass "
        "ei.adjust([a, b]) or ei.adjust({'exports': [a, b], 'growth': [c, d]}).",
    )
