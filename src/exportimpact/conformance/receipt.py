"""The receipt: every check that was declared, with what came of it; it adds up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from exportimpact.conformance.check import GROUPS, STATUSES, Group, Ruling, Status
from exportimpact.conformance.digests import digest
from exportimpact.errors import InputError

SCHEMA = 1


@dataclass(frozen=True)
class Entry:
    """One check on the receipt."""

    id: str
    group: Group
    demands: str
    ruling: Ruling
    seconds: float


@dataclass(frozen=True, kw_only=True, repr=False)
class Receipt:
    """What came of putting an estimator through the suite.

    Attributes
    ----------
    estimator, title : str
    parameters : Mapping
    tier : str
    declared : int
        Checks that the suite has; there is an entry for each.
    entries : tuple of Entry
    seeds : str
        Which seeds were drawn.
    versions : Mapping of str to str
    source : str
        Digest of the estimator's source and parameters.
    date : str
    seconds : float
    """

    estimator: str
    title: str
    parameters: Mapping[str, Any]
    tier: str
    declared: int
    entries: tuple[Entry, ...]
    seeds: str
    versions: Mapping[str, str]
    source: str
    date: str
    seconds: float
    schema: int = field(default=SCHEMA)

    def __post_init__(self) -> None:
        if self.declared != len(self.entries):
            raise InputError(
                "EI-C05",
                f"The receipt of {self.estimator!r} declares {self.declared} checks and has "
                f"{len(self.entries)}: a check that was not run would pass unseen. Make receipts "
                "with certify(), and do not take entries out.",
                declared=self.declared,
                entries=len(self.entries),
            )

    @property
    def counts(self) -> dict[Status, int]:
        """Number of checks by status; they add up to `declared`."""
        found = Counter(e.ruling.status for e in self.entries)
        return {status: found[status] for status in STATUSES}

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return self.counts["failed"] == 0

    @property
    def failures(self) -> tuple[Entry, ...]:
        """The checks that failed."""
        return tuple(e for e in self.entries if e.ruling.status == "failed")

    @property
    def digest(self) -> str:
        """SHA-256 over source, versions, checks, rulings and numbers; not over date and time."""
        lines = [
            f"{e.id}|{e.ruling.status}|"
            + ",".join(f"{k}={v:.9g}" for k, v in sorted(e.ruling.numbers.items()))
            for e in self.entries
        ]
        head = [self.source, self.tier, self.seeds, json.dumps(dict(self.versions), sort_keys=True)]
        return digest(*head, *lines)

    def to_json(self) -> str:
        """Return the receipt as JSON, with its digest."""
        payload = {
            name: value
            for name, value in vars(self).items()
            if name not in {"entries", "parameters", "versions"}
        }
        payload |= {
            "parameters": dict(self.parameters),
            "versions": dict(self.versions),
            "digest": self.digest,
            "counts": self.counts,
            "entries": [_entry(e) for e in self.entries],
        }
        return json.dumps(payload, indent=1, ensure_ascii=False, default=str)

    @classmethod
    def from_json(cls, text: str) -> Receipt:
        """Return the receipt that `to_json` wrote.

        Raises
        ------
        InputError
            EI-C05 when entries are missing or do not match the digest.
        """
        stored = json.loads(text)
        entries = tuple(
            Entry(e["id"], e["group"], e["demands"], Ruling(**e["ruling"]), e["seconds"])
            for e in stored.pop("entries")
        )
        told = stored.pop("digest")
        stored.pop("counts")
        receipt = cls(**stored, entries=entries)
        if receipt.digest != told:
            raise InputError(
                "EI-C05",
                f"The receipt of {receipt.estimator!r} does not match its digest: it was changed "
                "after the run, and says nothing. Run the suite again.",
            )
        return receipt

    def __str__(self) -> str:
        counts = self.counts
        told = ", ".join([self.estimator, *(f"{k}={v!r}" for k, v in self.parameters.items())])
        lines = [
            f"{self.title} ({told}), tier {self.tier}: "
            f"{'conforms' if self.ok else 'DOES NOT CONFORM'}",
            f"{self.declared} checks: {counts['passed']} passed, {counts['failed']} failed, "
            f"{counts['skipped']} skipped, {counts['expected_fail']} expected to fail",
        ]
        for group in GROUPS:
            own = [e for e in self.entries if e.group == group]
            shown = Counter(e.ruling.status for e in own)
            told = ", ".join(f"{n} {s.replace('_', ' ')}" for s, n in shown.items())
            lines.append(f"  {group}: {told} ({sum(e.seconds for e in own):.1f} s)")
        lines += [f"FAILED {e.id}: {e.ruling.reason}" for e in self.failures]
        lines += _reasons(self.entries, "expected_fail") + _reasons(self.entries, "skipped")
        named = ", ".join(f"{k} {v}" for k, v in self.versions.items())
        lines += [
            f"{self.date}, {self.seconds:.1f} s, {self.seeds}; {named}",
            f"digest {self.digest}",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        lines = str(self).splitlines()
        return "\n".join([*lines[:18], f"... {len(lines) - 19} more lines", lines[-1]][:20])


def _entry(entry: Entry) -> dict[str, Any]:
    ruling = {
        "status": entry.ruling.status,
        "reason": entry.ruling.reason,
        "numbers": dict(entry.ruling.numbers),
    }
    return {
        "id": entry.id,
        "group": entry.group,
        "demands": entry.demands,
        "ruling": ruling,
        "seconds": round(entry.seconds, 3),
    }


def _reasons(entries: tuple[Entry, ...], status: Status) -> list[str]:
    """Return one line for each reason, with the checks that share it."""
    by_reason: dict[str, list[str]] = {}
    for entry in entries:
        if entry.ruling.status == status:
            by_reason.setdefault(entry.ruling.reason, []).append(entry.id)
    word = status.replace("_", " ")
    return [
        f"{word} ({len(ids)}): {reason}: {', '.join(ids[:3])}{', ...' if len(ids) > 3 else ''}"
        for reason, ids in by_reason.items()
    ]
