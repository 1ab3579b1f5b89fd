"""An estimator on its way through the suite: where it feels at home, and its replications."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from exportimpact.conformance.arranged import Arranged
from exportimpact.conformance.digests import estimator_digest
from exportimpact.conformance.replications import Bank
from exportimpact.conformance.standing import Standing, standing
from exportimpact.conformance.tier import N_PERIODS, Tier, tier_of
from exportimpact.conformance.world import World
from exportimpact.core.assumption import OF_MATCHES
from exportimpact.core.cellset import FEW_CLUSTERS_PER_SIDE
from exportimpact.core.result import EstimationResult
from exportimpact.errors import CapabilityError, ExportImpactError, NotIdentifiedError
from exportimpact.synthetic import scenario, scenarios

_HOME_FIRMS = 320


@dataclass(frozen=True, eq=False)
class Subject:
    """An estimator with the tier and the replications of a run.

    Attributes
    ----------
    estimator : Estimator
    tier : Tier
    bank : Bank
        Where replications are drawn and kept.
    arranged : Arranged or None
        How its designs are matched.
    """

    estimator: Any
    tier: Tier
    bank: Bank = field(default_factory=Bank)
    arranged: Arranged | None = None

    @classmethod
    def of(cls, thing: Any, tier: Tier, bank: Bank) -> Subject:
        """Return the subject of an estimator, or of one arranged with a matcher."""
        require_estimator(thing)
        if isinstance(thing, Arranged):
            return cls(require_estimator(thing.estimator), tier, bank, thing)
        return cls(thing, tier, bank)

    @property
    def runner(self) -> Any:
        """What estimates a design as it is drawn: it is matched first where that is arranged."""
        return self.estimator if self.arranged is None else self.arranged

    @cached_property
    def key(self) -> str:
        """Digest of the estimator's source and parameters."""
        return estimator_digest(self.runner)

    def at(self, world: World) -> World:
        """Return a world with its designs matched as arranged."""
        if self.arranged is None:
            return world
        options = world.options | dict(self.arranged.options)
        return replace(world, options=options)

    @cached_property
    def home(self) -> World:
        """A small draw of the first scenario, with covariates if possible, that it takes.

        Raises
        ------
        NotIdentifiedError
            EI-C04 when it refuses all of them.
        """
        refused = None
        for name in self._candidates():
            drawn = scenario(name).draw(n_firms=_HOME_FIRMS, n_periods=N_PERIODS, seed=1)
            world = self.at(World.of(drawn))
            try:
                world.estimate(self.estimator)
            except ExportImpactError as error:
                refused = error
                continue
            return world
        raise NotIdentifiedError(
            "EI-C04",
            f"{type(self.estimator).__name__} refuses every scenario on which what it requires "
            f"holds, so that nothing can be said about its numbers. The last refusal: {refused}. "
            "Add a scenario on which it can be right, or look at what it requires and accepts.",
            estimator=type(self.estimator).__name__,
        )

    @cached_property
    def result(self) -> EstimationResult:
        """What it finds at home."""
        return self.home.estimate(self.estimator)

    def standing(self, name: str) -> Standing:
        """Return whether what it requires holds in a scenario."""
        return standing(self.runner, name)

    def _at_home(self, name: str) -> bool:
        """Whether exact checks can be made there: only what matches were like may be in doubt."""
        found = self.standing(name)
        return found.kind == "right" or bool(found.broken and set(found.broken) <= OF_MATCHES)

    def _candidates(self) -> list[str]:
        names = [n for n in scenarios() if scenario(n).size <= 1000]
        right = [n for n in names if self._at_home(n)]
        wanted = "covariates" in self.estimator.spec.accepts
        plain = ("level", "logged")

        def order(name: str) -> tuple[bool, bool, bool]:
            design = self.standing(name).design
            smallest = min(design.members(g).size for g in design.cohorts)
            # Below that, firms taken as clusters of one have other errors than firms, by rule.
            few = smallest * _HOME_FIRMS < FEW_CLUSTERS_PER_SIDE * scenario(name).size
            return (
                design.outcome_spec.scale not in plain,
                wanted and not design.settings["covariates"],
                few,
            )

        return sorted(right, key=order)


_KNOWN: dict[str, Subject] = {}


def subject_of(estimator: Any) -> Subject:
    """Return the subject that all checks of one estimator share inside a test run."""
    key = estimator_digest(require_estimator(estimator))
    if key not in _KNOWN:
        _KNOWN[key] = Subject.of(estimator, tier_of("quick"), Bank(folder=_shared()))
    return _KNOWN[key]


def _shared() -> Path | None:
    """Return the folder that the workers of one run of pytest-xdist share; None without workers."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    return Path(tempfile.gettempdir()) / f"exportimpact-bench-{run}" if run else None


def require_estimator(thing: Any) -> Any:
    """Return `thing` when it is an instance of an estimator.

    Raises
    ------
    CapabilityError
        EI-C02 when it is a class, or has no spec or no `estimate`.
    """
    if isinstance(thing, type) or not hasattr(thing, "spec") or not hasattr(thing, "estimate"):
        name = thing.__name__ if isinstance(thing, type) else repr(thing)
        raise CapabilityError(
            "EI-C02",
            f"{name} is not an instance of an estimator, so that nothing is known of what it "
            "requires. Put the decorator @ei.estimator on the class, and pass an instance such as "
            "MyEstimator().",
        )
    return thing
