"""Versions of the package, of Python and of what the package depends on."""

from __future__ import annotations

import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version

PACKAGE = "exportimpact"


def versions() -> dict[str, str]:
    """Return name and version of the package, Python and every dependency that is installed."""
    found = {PACKAGE: _version(PACKAGE), "python": platform.python_version()}
    for name in sorted(_dependencies()):
        if (installed := _version(name)) != "not installed":
            found[name] = installed
    return found


def show_versions() -> None:
    """Print what a bug report needs: versions of the package, Python and dependencies."""
    for name, installed in versions().items():
        print(f"{name} {installed}")


def _dependencies() -> set[str]:
    try:
        declared = requires(PACKAGE) or []
    except PackageNotFoundError:
        return set()
    plain = [
        line for line in declared if "extra ==" not in line or "'io'" in line.replace('"', "'")
    ]
    return {found[0] for line in plain if (found := re.match(r"[A-Za-z0-9._-]+", line))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
