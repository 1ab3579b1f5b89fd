"""The terms of a matched design, and its lines in the sample account."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from exportimpact.core.account import SampleAccount
from exportimpact.core.assumption import Requirement, all_of, any_of
from exportimpact.core.step import Step
from exportimpact.core.terms import Firms, Terms
from exportimpact.design.matching.balance import failures
from exportimpact.language import Message, message

if TYPE_CHECKING:
    from exportimpact.design.design import Design

_BY_PROPENSITY = frozenset({"InverseProbability", "Overlap"})


def terms_of(design: Design) -> Terms:
    """Return the terms of a design; those of all supported firms where it is not matched."""
    matching = design.matching
    if matching is None:
        return Terms()
    missed = failures(design)
    firms: Firms = "supported" if matching.kept == matching.at_risk else "kept"
    if matching.overlap:
        firms = "overlap"
    return Terms(
        firms=firms,
        kept=0 if firms == "supported" else matching.kept,
        supported=0 if firms == "supported" else matching.at_risk,
        max_step=Step.IV if missed else Step.VI,
        missed=missed,
        no_error=matching.no_error,
        lags=design.lags,
        models=_models(type(matching.matcher).__name__),
    )


def _models(matcher: str) -> Requirement:
    """Return what weights alone need to be right: nothing where strata are exact."""
    if matcher == "Exact":
        return all_of()
    if matcher == "EntropyBalancing":
        return any_of("outcome_model", "propensity_model")
    return all_of("propensity_model" if matcher in _BY_PROPENSITY else "close_matches")


def facts_of(design: Design) -> list[Message]:
    """Return what a reader of any result from a matched design must know."""
    matching, terms = design.matching, design.terms
    if matching is None:
        return []
    found = []
    if terms.missed:
        found.append(message("fact.capped", missed="; ".join(map(str, terms.missed))))
    if terms.firms == "kept":
        found.append(message("fact.kept", kept=terms.kept, supported=terms.supported))
    if terms.firms == "overlap":
        found.append(message("fact.overlap"))
    if design.horizon is not None:
        found.append(message("fact.horizon", horizon=design.horizon))
    if design.lags:
        found.append(message("fact.lags", lags=design.lags))
    if matching.tied:
        rule = message("fact.ties_average" if matching.shares_ties else "fact.ties_id")
        found.append(message("fact.tied", tied=matching.tied, kept=matching.kept, rule=rule))
    return found


def account_of(design: Design, account: SampleAccount) -> SampleAccount:
    """Return the account with supported firms that were left out, and firms that match nobody."""
    if design.matching is None:
        return account
    y = design.wide().outcome
    for reason, rows in design.matching.left:
        count = int(np.isfinite(y[rows]).sum())
        why = message("match.account_left", reason=reason)
        account = account.drop("match", why, firms=rows.size, firm_periods=count)
    idle = design._sample.inside.copy()
    idle[np.concatenate([*design.cohort_firms.values(), design.matching.used])] = False
    return account.drop(
        "match",
        message("match.account_unused"),
        firms=int(idle.sum()),
        firm_periods=int(np.isfinite(y[idle]).sum()),
    )
