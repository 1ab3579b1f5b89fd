"""What was asked before anything was estimated: the question, the objectives, an outside effect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from exportimpact.core.notebook import Shown
from exportimpact.errors import InputError

Direction = Literal["increase", "decrease"]

EXTERNAL_SOURCE = "package default: 7 %, the middle of meta-analyses of export promotion"


@dataclass(frozen=True, kw_only=True)
class Objective(Shown):
    """What a programme was meant to reach, so that the estimated effect can be held against it.

    Attributes
    ----------
    outcome : str
        The outcome that it is about.
    direction : {"increase", "decrease"}
    target : float, optional
        Effect that was aimed at, signed; None when only the direction was stated.
    unit : str, optional
        ``"%"``, ``"pp"`` (binary outcomes), or the outcome's own unit when None: log points for
        logs, percentage points for binary outcomes.
    horizon : int, optional
        Periods after first support at which it is due; None means the average effect so far.
    text : str
        The objective in the programme's own words.

    Raises
    ------
    InputError
        EI-E25 for an unknown direction, a target that is not finite or points the other way, or a
        horizon before support.
    """

    outcome: str
    direction: Direction = "increase"
    target: float | None = None
    unit: str | None = None
    horizon: int | None = None
    text: str = ""

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise _unusable(self, f"has the unknown direction {self.direction!r}", "increase")
        sign = 1 if self.direction == "increase" else -1
        if self.target is not None and not (math.isfinite(self.target) and sign * self.target >= 0):
            raise _unusable(self, f"aims at {self.target!r} with direction {self.direction!r}", "")
        if self.horizon is not None and self.horizon < 0:
            raise _unusable(self, f"is due {self.horizon} periods after first support", "")


@dataclass(frozen=True, kw_only=True)
class Plan(Shown):
    """The plan of an evaluation.

    Attributes
    ----------
    title, question, programme : str
    objectives : tuple of Objective
    external_effect : float
        Relative effect at which power and exaggeration are stated, from outside the data: 0.07 is
        7 %. It never comes from the estimate itself.
    external_source : str
        Where that effect comes from.
    declared_effects : mapping of outcome to effect
        Effects in the outcome's own unit that replace `external_effect`; a binary outcome has power
        only when declared here.

    Raises
    ------
    InputError
        EI-E25 for an external effect that is zero, not finite, or -100 % and less.
    """

    title: str = ""
    question: str = ""
    programme: str = ""
    objectives: tuple[Objective, ...] = ()
    external_effect: float = 0.07
    external_source: str = EXTERNAL_SOURCE
    declared_effects: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not (math.isfinite(self.external_effect) and self.external_effect > -1):
            raise _no_effect("external_effect", self.external_effect)
        for name, effect in {
            "external_effect": self.external_effect,
            **self.declared_effects,
        }.items():
            if not math.isfinite(effect) or effect == 0:
                raise _no_effect(name, effect)


def _unusable(objective: Objective, what: str, example: str) -> InputError:
    hint = f'For instance direction="{example}". ' if example else ""
    return InputError(
        "EI-E25",
        f"The objective for {objective.outcome!r} {what}; the estimated effect could not be held "
        f'against it. {hint}Use direction "increase" with a target of 0 or more, or "decrease" '
        "with a target of 0 or less, and a horizon of 0 or more periods.",
        outcome=objective.outcome,
    )


def _no_effect(name: str, effect: float) -> InputError:
    return InputError(
        "EI-E25",
        f"The effect declared for {name!r} is {effect!r}; power and exaggeration are stated at it "
        "and would mean nothing. Declare a believable effect from outside these data, such as "
        "0.07 for 7 %.",
        name=name,
        effect=effect,
    )
