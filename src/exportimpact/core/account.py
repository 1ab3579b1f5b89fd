"""The sample account: what left between the files and an estimate, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from exportimpact.language import Message


@dataclass(frozen=True)
class AccountEntry:
    """One line: what left the sample at a `stage`, and why. Counts are of what left."""

    stage: str
    reason: Message
    firms: int
    firm_periods: int


@dataclass(frozen=True)
class SampleAccount:
    """From the rows that came in to the rows that are used.

    Attributes
    ----------
    firms, firm_periods : int
        What came in.
    entries : tuple of AccountEntry
        What left, in order.
    """

    firms: int
    firm_periods: int
    entries: tuple[AccountEntry, ...] = ()

    def drop(
        self, stage: str, reason: Message, *, firms: int = 0, firm_periods: int = 0
    ) -> SampleAccount:
        """Return the account with one more line; a line of nothing is left out."""
        if firms == 0 and firm_periods == 0:
            return self
        entry = AccountEntry(stage, reason, int(firms), int(firm_periods))
        return SampleAccount(self.firms, self.firm_periods, (*self.entries, entry))

    @property
    def remaining(self) -> tuple[int, int]:
        """Firms and firm-periods that are left."""
        firms = self.firms - sum(e.firms for e in self.entries)
        return firms, self.firm_periods - sum(e.firm_periods for e in self.entries)

    def table(self) -> pd.DataFrame:
        """Return columns stage, reason, firms, firm_periods; the last line is what remains."""
        left = self.remaining
        rows = [("input", "rows that came in", self.firms, self.firm_periods)]
        rows += [(e.stage, str(e.reason), -e.firms, -e.firm_periods) for e in self.entries]
        rows += [("estimate", "used", left[0], left[1])]
        return pd.DataFrame(rows, columns=["stage", "reason", "firms", "firm_periods"])
