"""Hypothesis profiles, reference data, and the count of golden comparisons."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.testing import assert_allclose

settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

REFERENCE = "EXPORTIMPACT_REFERENCE"
DEFAULT_MARKERS = "not calibration"


@pytest.fixture(scope="session")
def reference() -> Callable[[str], Path]:
    """Return a function from the name of a reference folder to its path; skips without it."""

    def find(name: str) -> Path:
        root = os.environ.get(REFERENCE)
        if not root:
            pytest.skip(f"{REFERENCE} is not set")
        path = Path(root) / name
        if not path.is_dir():
            pytest.skip(f"{REFERENCE} has no folder {name}")
        return path

    return find


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Return a function that asserts closeness to a golden value and counts the comparison."""
    marker = request.node.get_closest_marker("golden")
    estimators = list(marker.args) if marker else []

    def compare(
        actual: Any, expected: Any, *, rtol: float = 1e-6, atol: float = 0.0, what: str = ""
    ) -> None:
        assert np.size(expected), f"{what or 'golden value'}: nothing to compare with"
        assert_allclose(actual, expected, rtol=rtol, atol=atol, err_msg=what)
        request.node.user_properties.append(("golden", estimators))

    return compare


class GoldenCount:
    """Counts golden comparisons over all workers and ends the run with the count."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.compared = 0
        self.skipped = 0
        self.estimators: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and ("uses_golden", True) in map(tuple, report.user_properties):
            self.skipped += 1
        if report.when == "call":
            comparisons = [value for name, value in report.user_properties if name == "golden"]
            self.compared += len(comparisons)
            self.estimators.update(*comparisons)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> Iterator[None]:
        missing = self._not_compared() if exitstatus == pytest.ExitCode.OK else []
        if missing:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        yield
        reporter = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is None or self.config.option.collectonly:
            return
        for name in missing:
            reporter.write_line(f"golden: no comparison ran for {name}", red=True)
        reporter.write_line(f"golden: {self.compared} compared, {self.skipped} skipped")

    def _not_compared(self) -> list[str]:
        """Registered estimators that the whole default suite never compared with a golden value."""
        option = self.config.option
        whole = (
            self.config.args_source is pytest.Config.ArgsSource.TESTPATHS
            and option.markexpr == DEFAULT_MARKERS
            and not (option.keyword or option.deselect or option.collectonly)
            and not getattr(option, "lf", False)
        )
        if not (whole and os.environ.get(REFERENCE)):
            return []
        registered = {entry.attr for entry in entry_points(group="exportimpact.estimators")}
        return sorted(registered - self.estimators)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Workers inherit this before they load numpy: they share the machine's cores already.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
        config.pluginmanager.register(GoldenCount(config), "golden-count")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "golden" in getattr(item, "fixturenames", ()):
            item.user_properties.append(("uses_golden", True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many of the rogues that ran were rejected by the check that is named for them."""
    reports = [r for kind in ("passed", "failed") for r in terminalreporter.stats.get(kind, [])]
    caught = [
        value
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == "rogue"
    ]
    if caught:
        terminalreporter.write_line(f"mutation score: {sum(caught)} of {len(caught)} rogues caught")
