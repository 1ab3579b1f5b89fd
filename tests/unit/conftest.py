"""A small study on disk, as a user would write it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

STUDY = """\
schema = 1

[study]
title = "Trade fairs"
question = "Did fairs raise exports?"

[data]
panel = "panel.csv"
unit = "firm_id"
period = "year"
baseline = ["employees"]

[support]
file = "awards.csv"
start = "award_year"

[[outcomes]]
name = "exports"
unit = "KRW m"

[[outcomes]]
name = "sales"
scale = "log"

[design]
covariates = ["employees"]

[[estimators]]
id = "benchmark"

[[estimators]]
id = "group_time"
adjust = "regression"
"""


@dataclass(frozen=True)
class StudyFolder:
    """A folder with study.toml, panel.csv and awards.csv."""

    path: Path

    @property
    def study(self) -> Path:
        return self.path / "study.toml"

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace a text in a file; it has to be there."""
        text = (self.path / file).read_text(encoding="utf-8")
        assert old in text
        (self.path / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    def change(self, file: str, how: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        """Read a table as text, change it, and write it back."""
        frame = pd.read_csv(self.path / file, dtype=str, keep_default_na=False)
        how(frame).to_csv(self.path / file, index=False)


def small_panel() -> tuple[pd.DataFrame, pd.DataFrame]:
    """80 firms in 2015 to 2019, 30 of them awarded in 2017 or 2018."""
    rng = np.random.default_rng(7)
    firms, years = np.arange(1, 81), np.arange(2015, 2020)
    size = rng.lognormal(3, 0.5, firms.size)
    level = rng.lognormal(2, 0.4, (firms.size, years.size)) * size[:, None] / 20
    first = np.where(firms <= 15, 2017, np.where(firms <= 30, 2018, 9999))
    level *= 1 + 0.3 * (years >= first[:, None])
    panel = pd.DataFrame(
        {
            "firm_id": np.repeat(firms, years.size),
            "year": np.tile(years, firms.size),
            "exports": level.ravel().round(3),
            "sales": (level * 3 + 1).ravel().round(3),
            "employees": np.repeat(size.round(1), years.size),
        }
    )
    awards = pd.DataFrame({"firm_id": firms[:30], "award_year": first[:30]})
    return panel, awards


def write_study(path: Path) -> StudyFolder:
    """Write the small study to `path` and return its folder."""
    made = StudyFolder(path)
    made.path.mkdir(parents=True, exist_ok=True)
    panel, awards = small_panel()
    panel.to_csv(made.path / "panel.csv", index=False)
    awards.to_csv(made.path / "awards.csv", index=False)
    made.study.write_text(STUDY, encoding="utf-8")
    return made


def one_line_report(evaluation: object, *, record: object) -> dict[str, bytes]:
    return {"report.html": b"<p>0</p>", "tables/ladder.csv": b"estimate\n1.0\n"}


@pytest.fixture(scope="session")
def made_study() -> Callable[[Path], StudyFolder]:
    return write_study


@pytest.fixture(scope="session")
def made_report() -> Callable[..., dict[str, bytes]]:
    return one_line_report


@pytest.fixture
def plain_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """A report of one line, for tests that are not about its pages."""
    monkeypatch.setattr("exportimpact.report.render", one_line_report)


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    return write_study(tmp_path / "input")
