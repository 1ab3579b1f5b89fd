"""What an estimator is: configuration, a spec, and one method, `estimate(design)`."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

from exportimpact._typing import Rng
from exportimpact.core.assumption import Required, as_requirement
from exportimpact.core.many import Shared
from exportimpact.core.protocols import DesignLike, SealedLike
from exportimpact.core.provenance import seeded
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.core.step import Step
from exportimpact.errors import CapabilityError, InputError

CAPABILITIES = frozenset(
    {"weights", "matched", "not_yet", "rejected", "covariates", "supported_before"}
)
_DEFAULT_ACCEPTS = frozenset({"not_yet", "rejected"})

_LOG = logging.getLogger("exportimpact")

T = TypeVar("T")


@runtime_checkable
class Estimator(Protocol):
    """Anything with a spec and `estimate`."""

    spec: ClassVar[EstimatorSpec]

    def estimate(self, design: DesignLike, *, rng: Rng = None) -> EstimationResult:
        """Estimate the design's effect."""
        ...


def estimator(
    *,
    id: str,
    title: str,
    reference: str,
    step: str,
    requires: Required,
    blind_to: Mapping[str, str] | None = None,
    estimands: Iterable[str] = ("att",),
    accepts: Iterable[str] = _DEFAULT_ACCEPTS,
    conservative: bool = False,
    scales: Iterable[str] | None = None,
) -> Callable[[type[T]], type[T]]:
    """Make a frozen dataclass with an `estimate` method an estimator.

    The decorator fills the class's `spec` and wraps `estimate`: an unsealed design is sealed as
    exploratory, what the design asks for is held against `accepts`, and `rng` becomes a generator
    (from the seal when None, so that every run repeats). An `estimate` that takes ``shared=None``
    is handed the fits that it may share with other designs by `estimate_many`.

    Parameters
    ----------
    id, title, reference : str
    step : {"IV", "V-a", "V-b", "VI"}
    requires : requirement, or set of assumption names
    blind_to : mapping of assumption to reason
    estimands, accepts : iterables of str
    conservative : bool
    scales : iterable of str, optional
        Scales of outcomes that it takes; it refuses others itself, with a reason.

    Raises
    ------
    CapabilityError
        EI-E02 when the class is not a frozen dataclass with `estimate`; EI-E03 from `estimate` when
        the design needs what the estimator does not accept.
    InputError
        EI-E01 for an unknown assumption, EI-E04 for an unknown capability.
    """
    accepted = frozenset(accepts)
    if not accepted <= CAPABILITIES:
        raise InputError(
            "EI-E04",
            f"Estimator {id!r} accepts {sorted(accepted - CAPABILITIES)}, which no design can ask "
            f"for, so that the check would never run. Choose from {sorted(CAPABILITIES)}.",
            estimator=id,
        )
    as_requirement(blind_to or ())
    spec = EstimatorSpec(
        id=id,
        title=title,
        reference=reference,
        step=Step(step),
        requires=as_requirement(requires),
        blind_to=MappingProxyType(dict(blind_to or {})),
        accepts=accepted,
        estimands=tuple(estimands),
        conservative=conservative,
        scales=None if scales is None else frozenset(scales),
    )

    def decorate(cls: type[T]) -> type[T]:
        parameters = getattr(cls, "__dataclass_params__", None)
        if parameters is None or not parameters.frozen or not hasattr(cls, "estimate"):
            raise CapabilityError(
                "EI-E02",
                f"{cls.__name__} is not a frozen dataclass with an estimate method; configuration "
                "that can change between runs cannot be recorded. Add @dataclass(frozen=True, "
                "kw_only=True) below the decorator and define estimate(self, design, *, rng=None).",
                estimator=id,
            )
        cls.spec = spec  # type: ignore[attr-defined]
        cls.estimate = _wrapped(cls.estimate)  # type: ignore[attr-defined]
        return cls

    return decorate


def _wrapped(estimate: Callable[..., EstimationResult]) -> Callable[..., EstimationResult]:
    takes = inspect.signature(estimate).parameters

    @functools.wraps(estimate)
    def wrapper(
        self: Any, design: DesignLike, *, rng: Rng = None, shared: Shared | None = None
    ) -> EstimationResult:
        sealed = as_sealed(design, self.spec.title)
        _check_capabilities(self.spec, sealed)
        given: dict[str, Any] = {"rng": seeded(rng, sealed.hash)} if "rng" in takes else {}
        if "shared" in takes:
            given["shared"] = shared
        result = estimate(self, sealed, **given)
        _LOG.info(
            "%s: %d cells of %s, %d not identified",
            self.spec.id,
            len(result.cells.index),
            result.estimand.outcome,
            len(result.not_identified),
        )
        return result

    return wrapper


def as_sealed(design: Any, title: str) -> SealedLike:
    """Return the design with a seal: its own, or an exploratory one.

    Raises
    ------
    CapabilityError
        EI-E10 for what is no design.
    """
    if not isinstance(design, DesignLike):
        raise CapabilityError(
            "EI-E10",
            f"{title} estimates a Design, not a {type(design).__name__}: without one nobody has "
            "said who is compared with whom. Pass ei.Design(panel, support, outcome=...), sealed "
            "or not.",
            got=type(design).__name__,
        )
    return design if isinstance(design, SealedLike) else design.seal(exploratory=True)


def _check_capabilities(spec: EstimatorSpec, design: DesignLike) -> None:
    asked = {name for name in CAPABILITIES if design.settings.get("asks", {}).get(name)}
    missing = sorted(asked - spec.accepts - {"covariates"})
    if missing:
        raise CapabilityError(
            "EI-E03",
            f"{spec.title} does not take a design with {', '.join(missing)}; it would estimate "
            "another effect than the design names. Use an estimator that accepts it (its spec "
            "lists what it accepts), or a design without it.",
            estimator=spec.id,
            missing=missing,
        )
