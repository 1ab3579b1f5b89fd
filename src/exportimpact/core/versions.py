"""Versions of the package and of what its numbers depend on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

__version__ = "0.1.0"

_NAMED = (
    "exportimpact",
    "numpy",
    "scipy",
    "pandas",
    "statsmodels",
    "linearmodels",
    "scikit-learn",
    "formulaic",
    "matplotlib",
)


def versions() -> dict[str, str]:
    """Return version by package, with Python and the platform."""
    found = {"python": platform.python_version(), "platform": platform.system()}
    for name in _NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def show_versions() -> None:
    """Print the versions to put into a report of a problem."""
    for name, number in versions().items():
        print(f"{name:<14} {number}")
