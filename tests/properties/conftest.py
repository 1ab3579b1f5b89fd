"""Small random panels of firms, and what it means that two results are the same."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from exportimpact import Assignment, Design, EstimationResult, Outcome, Panel

START = 2010
NUMBERS = ("estimate", "std_error", "ci_low", "ci_high", "p_value")


@dataclass(frozen=True, eq=False)
class Firms:
    """A long frame (firm, year, first, y, x, kind, w) and how it is read."""

    frame: pd.DataFrame
    outcome: Outcome = field(default_factory=lambda: Outcome("y"))
    weight: str | None = None
    cluster: str | None = None
    panel_options: tuple[tuple[str, Any], ...] = ()

    def changed(self, **columns: Any) -> Firms:
        """The same firms with columns replaced."""
        return replace(self, frame=self.frame.assign(**columns))

    def panel(self) -> Panel:
        return Panel.from_frame(
            self.frame,
            unit="firm",
            period="year",
            outcomes=[self.outcome],
            baseline=["x", "kind"],
            weight=self.weight,
            cluster=self.cluster,
            **dict(self.panel_options),
        )

    def design(self, **options: Any) -> Design:
        support = Assignment.from_first_period(self.frame, unit="firm", first_period="first")
        return Design(self.panel(), support, outcome=self.outcome.name, **options)

    def estimate(self, estimator: Any, **options: Any) -> EstimationResult:
        return estimator.estimate(self.design(**options))


def draw(seed: int, n_firms: int = 30, n_years: int = 5, gaps: float = 0.0) -> Firms:
    """Firms of three kinds; a third is never supported and each cohort has two firms or more.

    `gaps` is the share of outcomes that are missing.
    """
    rng = np.random.default_rng(seed)
    years = np.arange(START, START + n_years)
    cohorts = rng.choice(years[1:], size=rng.integers(1, n_years - 1), replace=False)
    first = np.full(n_firms, np.nan)
    supported = np.arange(n_firms) < 2 * n_firms // 3
    first[supported] = rng.choice(cohorts, size=supported.sum())
    first[: 2 * cohorts.size] = np.repeat(cohorts, 2)
    trend = rng.normal(size=n_firms)
    x = rng.normal(size=(n_firms, n_years)) + 0.3 * trend[:, None]
    y = 50 + trend[:, None] * np.arange(n_years) + x.cumsum(axis=1)
    y = y + rng.normal(size=y.shape) + (years >= first[:, None])
    y[rng.random(y.shape) < gaps] = np.nan
    frame = pd.DataFrame(
        {
            "firm": np.repeat(rng.permutation(n_firms) + 100, n_years),
            "year": np.tile(years, n_firms),
            "first": pd.array(np.repeat(first, n_years)).astype("Int64"),
            "y": y.ravel(),
            "x": x.ravel(),
            "kind": np.repeat(rng.choice(["a", "b", "c"], size=n_firms), n_years),
            "w": np.repeat(rng.integers(1, 4, size=n_firms), n_years).astype(float),
        }
    )
    return Firms(frame)


def same_rows(one: pd.DataFrame, other: pd.DataFrame, rtol: float) -> None:
    """Assert that two tables agree: counts and labels exactly, numbers to `rtol`."""
    assert list(one) == list(other)
    for name in one:
        if name in NUMBERS:
            size = np.nanmax(np.abs(one["estimate"])) if name != "p_value" else 1.0
            np.testing.assert_allclose(
                other[name], one[name], rtol=rtol, atol=rtol * size, err_msg=name
            )
        else:
            pd.testing.assert_series_equal(one[name], other[name])


def same_result(one: EstimationResult, other: EstimationResult, rtol: float = 1e-8) -> None:
    """Assert that cells, every aggregation and the pre-trend test agree."""
    same_rows(one.table(), other.table(), rtol)
    reasons = [[(g, t, str(why)) for g, t, why in r.not_identified] for r in (one, other)]
    assert reasons[0] == reasons[1]
    if (one.table()["event_time"] >= 0).any():
        for by in ("simple", "event_time", "cohort", "calendar"):
            same_rows(one.aggregate(by).table(), other.aggregate(by).table(), rtol)
            same_rows(one.overall(by).table(), other.overall(by).table(), rtol)
    tests = [r.pretrend_test() for r in (one, other)]
    assert tests[0].applies == tests[1].applies
    if tests[0].applies:
        assert tests[0].p_value == pytest.approx(tests[1].p_value, rel=1e-5, abs=1e-8)


@pytest.fixture(scope="session")
def firms():
    """Return a function from a seed to firms."""
    return draw


@pytest.fixture(scope="session")
def same():
    """Return a function that asserts that two results agree."""
    return same_result
