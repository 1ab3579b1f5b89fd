"""The public names are those of the snapshot.

After a deliberate change, rewrite the snapshot and read its diff:

    python tests/architecture/test_public_names.py
"""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from pathlib import Path

SNAPSHOT = Path(__file__).with_name("public_names.txt")
THIN_MODULES = ("did", "longitudinal", "matched", "matching", "plot")


def public_names() -> str:
    """Every `__all__`, one section per module and one name per line."""
    names = ["exportimpact", *(f"exportimpact.{name}" for name in THIN_MODULES)]
    modules = [importlib.import_module(name) for name in names if find_spec(name)]
    return "\n".join(
        "\n".join([f"[{module.__name__}]", *sorted(module.__all__), ""]) for module in modules
    )


def test_public_names_match_the_snapshot():
    expected = SNAPSHOT.read_text(encoding="utf-8")
    assert public_names() == expected, "run: python tests/architecture/test_public_names.py"


def test_every_public_name_exists():
    for line in SNAPSHOT.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            module = importlib.import_module(line.strip("[]"))
        elif line:
            assert hasattr(module, line), f"{module.__name__}.{line}"


if __name__ == "__main__":
    SNAPSHOT.write_text(public_names(), encoding="utf-8")
