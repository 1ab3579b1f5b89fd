"""One estimator on several designs, with the fits that do not depend on the outcome made once."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from exportimpact._typing import AnyArray, Rng
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.errors import InputError

T = TypeVar("T")


@dataclass(eq=False)
class Shared:
    """First-step fits that several estimations share; it lives as long as the call that made it.

    A fit is kept under the content that it was made from, so that sharing cannot change a number:
    designs that differ in anything that the fit depends on get fits of their own.

    Attributes
    ----------
    made, reused : int
        How many fits were made, and how often one was there already.
    """

    made: int = 0
    reused: int = 0
    _kept: dict[bytes, Any] = field(default_factory=dict, repr=False)

    def get(self, key: bytes, make: Callable[[], T]) -> T:
        """Return what was made under `key` before, or make and keep it."""
        if key in self._kept:
            self.reused += 1
            kept: T = self._kept[key]
            return kept
        self.made += 1
        made = make()
        self._kept[key] = made
        return made


def content_key(*parts: object) -> bytes:
    """Return a key that is equal for equal contents only: arrays by their bytes, others as text."""
    digest = hashlib.blake2b(digest_size=20)
    for part in parts:
        if hasattr(part, "tobytes"):
            array: AnyArray = part  # type: ignore[assignment]
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(array.tobytes())
        else:
            digest.update(f"\x1f{part!r}\x1f".encode())
    return digest.digest()


def estimate_many(
    estimator: Any, designs: Iterable[DesignLike], *, rng: Rng = None, n_jobs: int = 1
) -> tuple[EstimationResult, ...]:
    """Return the results of one estimator on several designs, in the order given.

    The numbers are those of separate estimates, to the last digit. Designs that differ in the
    outcome alone share what does not depend on it: `GroupTime` fits the propensity of support once
    for each sample of firms instead of once for each outcome. Estimators that share nothing are run
    one by one.

    Parameters
    ----------
    estimator : estimator
    designs : sequence of Design or SealedDesign
        Such as one for each outcome of a panel.
    rng : int, Generator, or None
        As for the estimator's own `estimate`; None takes each design's seal.
    n_jobs : int
        Threads that work on designs at the same time.

    Returns
    -------
    tuple of EstimationResult

    Raises
    ------
    InputError
        EI-I11 when there is no list of designs, or n_jobs is not a whole number of at least 1.
    CapabilityError
        EI-E10 for something that is no design; and whatever the estimator raises.

    Notes
    -----
    A fit is found again where covariates, weights and sides of a cell's sample coincide. With
    ``unbalanced="pairwise"`` an outcome that is missing in other firm-years has other samples, and
    fits of its own.

    Examples
    --------
    >>> import exportimpact as ei
    >>> bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    >>> designs = [
    ...     ei.Design(bench.panel, bench.support, outcome="ln_exports", comparison=pool)
    ...     for pool in ("never", "not_yet")
    ... ]
    >>> [r.estimand.comparison for r in ei.estimate_many(ei.did.GroupTime(), designs)]
    ['never', 'not_yet']
    """
    given: Any = designs
    listed = list(given) if isinstance(given, Iterable) else []
    whole = type(n_jobs) is int and n_jobs >= 1
    if not listed or not whole:
        wrong = f"n_jobs={n_jobs!r}" if listed else f"{designs!r:.60} as designs"
        raise InputError(
            "EI-I11",
            f"{wrong} cannot be worked through: estimate_many takes one or more designs and a "
            "whole number of threads. Pass a list such as [ei.Design(panel, support, outcome=name) "
            "for name in names]; for one design call estimator.estimate(design).",
        )
    takes = inspect.signature(estimator.estimate, follow_wrapped=False).parameters
    handed = {"shared": Shared()} if "shared" in takes else {}

    def one(design: DesignLike) -> EstimationResult:
        result: EstimationResult = estimator.estimate(design, rng=rng, **handed)
        return result

    if n_jobs == 1:
        return tuple(one(design) for design in listed)
    import joblib

    work = joblib.Parallel(n_jobs=n_jobs, prefer="threads")
    return tuple(work(joblib.delayed(one)(design) for design in listed))
