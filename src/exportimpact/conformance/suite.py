"""The suite: which checks there are, and how an estimator is put through all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from exportimpact.conformance import api, documents, honesty, invariances, statistics
from exportimpact.conformance.arranged import Arranged
from exportimpact.conformance.check import Check
from exportimpact.conformance.digests import versions
from exportimpact.conformance.receipt import Entry, Receipt
from exportimpact.conformance.replications import Bank, Say
from exportimpact.conformance.subject import Subject, require_estimator
from exportimpact.conformance.tier import tier_of
from exportimpact.core.provenance import parameters_of
from exportimpact.synthetic import scenarios


def declared() -> tuple[Check, ...]:
    """Return every check of the suite; a receipt has an entry for each."""
    of_scenarios = [
        check for name in scenarios() for check in (*statistics.checks(name), *honesty.checks(name))
    ]
    return (*api.checks(), *invariances.checks(), *documents.checks(), *of_scenarios)


def certify(
    estimator: Any,
    *,
    tier: str = "quick",
    jobs: int = 1,
    cache: Path | None = None,
    progress: Say | None = None,
) -> Receipt:
    """Put an estimator through every check and return the receipt.

    Parameters
    ----------
    estimator : Estimator
        An instance.
    tier : {"quick", "full", "calibration"}
        Quick catches errors that are 20 % too small, full 10 %.
    jobs : int
        Processes for the replications.
    cache : Path, optional
        Folder where replications are kept, so that an interrupted run goes on where it stopped.
    progress : callable, optional
        Told what is running and how many replications are done.

    Returns
    -------
    Receipt

    Raises
    ------
    CapabilityError
        EI-C02 for what is not an estimator.
    InputError
        EI-C03 for an unknown tier.

    Examples
    --------
    >>> receipt = certify(GroupTime(), tier="quick")  # doctest: +SKIP
    >>> receipt.ok, receipt.counts  # doctest: +SKIP
    """
    return certify_all([estimator], tier=tier, jobs=jobs, cache=cache, progress=progress)[0]


def certify_all(
    estimators: Sequence[Any],
    *,
    tier: str = "quick",
    jobs: int = 1,
    cache: Path | None = None,
    progress: Say | None = None,
) -> tuple[Receipt, ...]:
    """Put several estimators through every check; they share each panel that is drawn.

    Parameters
    ----------
    estimators : sequence of Estimator
    tier, jobs, cache, progress
        As in `certify`.

    Returns
    -------
    tuple of Receipt
    """
    bank = Bank(jobs=jobs, folder=cache, say=progress)
    subjects = [Subject.of(e, tier_of(tier), bank) for e in estimators]
    began = time.perf_counter()
    bank.fill([(s.runner, order) for s in subjects for order in _orders(s)])
    shared = (time.perf_counter() - began) / max(len(subjects), 1)
    return tuple(_receipt(s, shared) for s in subjects)


def parametrize(
    estimators: Sequence[Any], *, groups: Sequence[str] | None = None
) -> Callable[[Callable[..., None]], Any]:
    """Return a pytest decorator that calls a test with each estimator and each check.

    Parameters
    ----------
    estimators : sequence of Estimator
        Instances.
    groups : sequence of str, optional
        Only these of "api", "invariances", "statistics", "honesty", "documents".

    Returns
    -------
    pytest mark
        The test takes ``estimator`` and ``check``, and calls ``check(estimator)``.
    """
    import pytest

    def named(estimator: Any) -> str:
        if isinstance(estimator, Arranged):
            return f"{named(estimator.estimator)} on {estimator.name}"
        told = ",".join(f"{k}={v}" for k, v in parameters_of(estimator).items())
        return f"{type(estimator).__name__}({told})"

    # One process for each estimator, so that its replications are made once.
    group = pytest.mark.xdist_group if find_spec("xdist") else None
    pairs = [
        pytest.param(
            estimator,
            check,
            id=f"{named(estimator)}-{check.id}",
            marks=group(named(estimator)) if group is not None else (),
        )
        for estimator in map(require_estimator, estimators)
        for check in declared()
        if groups is None or check.group in groups
    ]
    return pytest.mark.parametrize(("estimator", "check"), pairs)


def _orders(subject: Subject) -> list[Any]:
    return [*statistics.orders(subject), *honesty.orders(subject)]


def _receipt(subject: Subject, shared: float) -> Receipt:
    began = time.perf_counter()
    entries = []
    for check in declared():
        start = time.perf_counter()
        ruling = check.rule(subject)
        seconds = time.perf_counter() - start
        entries.append(Entry(check.id, check.group, check.demands, ruling, seconds))
    spec, draws = subject.estimator.spec, subject.tier.draws
    return Receipt(
        estimator=spec.id,
        title=spec.title if subject.arranged is None else f"{spec.title}, {subject.arranged.name}",
        parameters=parameters_of(subject.estimator),
        tier=subject.tier.name,
        declared=len(declared()),
        entries=tuple(entries),
        seeds=f"seeds 1-{draws} (statistics), 1-{subject.tier.honest_draws} (honesty)",
        versions=versions(),
        source=subject.key,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        seconds=time.perf_counter() - began + shared,
    )
