"""What matching does to every result of a design: whose effect it is, how high it may climb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from exportimpact.core.assumption import Requirement
from exportimpact.core.step import Step
from exportimpact.language import Message

Firms: TypeAlias = Literal["supported", "kept", "overlap"]


@dataclass(frozen=True, eq=False)
class Terms:
    """The terms on which a design lends itself to estimation.

    Attributes
    ----------
    firms : {"supported", "kept", "overlap"}
        Whose effect it is: of all supported firms, of those that were matched, or of those weighted
        towards firms that could as well not have been supported.
    kept, supported : int
        Supported firms that were matched, and all of them.
    max_step : Step
        The highest rung that results may claim.
    missed : tuple of Message
        Why it is not higher.
    no_error : bool
        Whether weights were estimated in a way whose error is not known.
    lags : int
        Outcomes before support that firms were matched on.
    models : Requirement or None
        What an estimate without a regression of its own needs of the match to be right; None for
        a design that is not matched.
    """

    firms: Firms = "supported"
    kept: int = 0
    supported: int = 0
    max_step: Step = Step.VI
    missed: tuple[Message, ...] = ()
    no_error: bool = False
    lags: int = 0
    models: Requirement | None = None
