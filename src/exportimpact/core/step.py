"""The rungs of the OECD's ladder (OECD 2007 and 2023 frameworks for evaluating SME policies)."""

from __future__ import annotations

from enum import Enum


class Step(Enum):
    """A rung; `rank` orders them from typical firms (IV) to selection taken into account (VI)."""

    IV = "IV"
    V_A = "V-a"
    V_B = "V-b"
    VI = "VI"

    @property
    def rank(self) -> int:
        """Place on the ladder, from 0."""
        return list(Step).index(self)

    @property
    def is_causal(self) -> bool:
        """Whether the rung supports a causal reading at all."""
        return self is not Step.IV

    def __str__(self) -> str:
        return self.value
