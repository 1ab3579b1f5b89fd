"""What is measured: an outcome, its unit, its scale, and what an exit does to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from exportimpact._typing import AfterExit, Scale
from exportimpact.core.notebook import Shown
from exportimpact.errors import InputError, did_you_mean

_SCALES: tuple[str, ...] = get_args(Scale)
_ZERO_AFTER_EXIT = frozenset({"level", "binary", "count"})


@dataclass(frozen=True)
class Outcome(Shown):
    """An outcome of the panel.

    Parameters
    ----------
    name : str
        Its name in every table.
    unit : str, optional
        Unit of the column, such as ``"KRW m"``. Money is printed only with a unit.
    column : str, optional
        Column of the frame; the name when not given.
    scale : {"level", "log", "logged", "binary", "count", "share"}
        ``"log"``: the package takes the log of a positive column; firm-periods that are not
        positive lie outside the estimand, and are counted. ``"logged"``: the column is in logs
        already. ``"binary"``: whether the column is above zero. ``"count"``, ``"share"`` and
        ``"level"`` are used as they are.
    after_exit : {"zero", "missing"}, optional
        Value after a declared exit. Default ``"zero"`` for levels, counts and binary outcomes, and
        ``"missing"`` for logs and shares, which are undefined there.

    Raises
    ------
    InputError
        EI-P20 for an unknown scale or rule, EI-P21 for a log that should be zero after an exit.

    Examples
    --------
    >>> Outcome("ln_exports", column="exports", scale="log").source
    'exports'
    """

    name: str
    unit: str | None = None
    column: str | None = None
    scale: Scale = "level"
    after_exit: AfterExit | None = None

    def __post_init__(self) -> None:
        if self.scale not in _SCALES:
            raise InputError(
                "EI-P20",
                f"Outcome {self.name!r} has the unknown scale {self.scale!r}; the scale decides "
                f"how the effect is read. {did_you_mean(str(self.scale), _SCALES)}",
                outcome=self.name,
                scale=self.scale,
            )
        if self.after_exit is None:
            rule: AfterExit = "zero" if self.scale in _ZERO_AFTER_EXIT else "missing"
            object.__setattr__(self, "after_exit", rule)
        if self.after_exit not in get_args(AfterExit):
            raise InputError(
                "EI-P20",
                f"Outcome {self.name!r} has the unknown rule after_exit={self.after_exit!r}; it "
                'decides whether closed firms count as zeros. Use "zero" or "missing".',
                outcome=self.name,
            )
        if self.after_exit == "zero" and self.scale in {"log", "logged"}:
            raise InputError(
                "EI-P21",
                f"Outcome {self.name!r} is a log and cannot be zero after an exit: a log of zero "
                "is undefined, and 0 would mean an outcome of one unit. Leave after_exit out, "
                "and add the level beside it to keep closed firms in.",
                outcome=self.name,
            )

    @property
    def source(self) -> str:
        """Column of the frame that holds the outcome."""
        return self.column or self.name
