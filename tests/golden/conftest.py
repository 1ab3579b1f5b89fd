"""Reference numbers by id, and the panels that several golden tests read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
import pytest

from exportimpact import Assignment, Design, EstimationResult, Outcome, Panel
from exportimpact.did import GroupTime

AGGREGATIONS = {
    "simple": "simple",
    "group": "cohort",
    "dynamic": "event_time",
    "calendar": "calendar",
}


@dataclass(frozen=True)
class Records:
    """The results of one expected.json, by id."""

    by_id: dict[str, dict[str, Any]]

    def table(self, name: str) -> pd.DataFrame:
        """Rows of a table; R's reference period (0, without an error) is not an estimate."""
        rows = pd.DataFrame(self.by_id[name]["table"])
        return rows.dropna(subset=["std_error"]).reset_index(drop=True)

    def scalar(self, name: str, key: str) -> float:
        """One number of a result."""
        return float(self.by_id[name]["scalars"][key])


@pytest.fixture(scope="session")
def records(reference) -> Callable[[str], Records]:
    """Return a function from the name of a reference folder to its expected numbers."""

    @cache
    def read(name: str) -> Records:
        text = (reference(name) / "expected.json").read_text(encoding="utf-8")
        return Records({r["id"]: r for r in json.loads(text)["results"]})

    return read


@dataclass(frozen=True, eq=False)
class Mpdta:
    """County teen employment 2003-2007, with the first year of a higher minimum wage."""

    frame: pd.DataFrame

    @cache  # noqa: B019 - lives as long as the session
    def design(
        self,
        *,
        covariates: tuple[str, ...] = (),
        weight: str | None = None,
        cluster: str | None = None,
        keep: str | None = None,
        comparison: str = "never",
        base: str = "varying",
        anticipation: int = 0,
        unbalanced: str = "pairwise",
    ) -> Design:
        """A design on all rows, or on the rows that the column `keep` marks."""
        frame = self.frame if keep is None else self.frame[self.frame[keep] == 1]
        panel = Panel.from_frame(
            frame,
            unit="countyreal",
            period="year",
            outcomes=[Outcome("lemp", scale="logged")],
            baseline=["lpop"],
            weight=weight,
            cluster=cluster,
        )
        support = Assignment.from_first_period(frame, unit="countyreal", first_period="first")
        return Design(
            panel,
            support,
            outcome="lemp",
            comparison=comparison,
            covariates=covariates,
            base=base,
            anticipation=anticipation,
            unbalanced=unbalanced,
        )

    @cache  # noqa: B019 - lives as long as the session
    def estimate(self, adjust: str, **options: Any) -> EstimationResult:
        """Group-time effects; `options` are those of `design`."""
        return GroupTime(adjust=adjust).estimate(self.design(**options))


@pytest.fixture(scope="session")
def mpdta(reference) -> Mpdta:
    """The panel of R's did, from the reference folder."""
    frame = pd.read_csv(reference("did_mpdta") / "data.csv")
    first = frame["first.treat"].astype("Int64")
    return Mpdta(frame.assign(first=first.mask(first == 0)))


@pytest.fixture(scope="session")
def compare_rows() -> Callable[..., None]:
    """Return a function that compares the rows of a table with R's, every row and both columns."""

    def compare(
        golden: Callable[..., None],
        table: pd.DataFrame,
        expected: pd.DataFrame,
        keys: dict[str, str],
        rtol: float,
    ) -> None:
        ours = table.sort_values(list(keys)).reset_index(drop=True)
        theirs = expected.sort_values(list(keys.values())).reset_index(drop=True)
        for mine, name in keys.items():
            assert ours[mine].tolist() == theirs[name].tolist()
        golden(ours["estimate"], theirs["att"], rtol=rtol, what="estimate")
        golden(ours["std_error"], theirs["std_error"], rtol=rtol, what="standard error")

    return compare
