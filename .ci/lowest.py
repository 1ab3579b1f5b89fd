"""Print pins for a run at the lowest declared versions.

Runtime dependencies and the extra `io` at their lower bounds; the tools that run the tests as in
constraints.txt. pip has no lowest resolution of its own.
"""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
TOOLS = {"causaldata", "hypothesis", "polars", "pytest", "pytest-randomly", "pytest-xdist"}


def lowest(requirement: str) -> str:
    bound = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement)
    if bound is None:
        raise SystemExit(f"{requirement!r} in pyproject.toml declares no lower bound")
    return "{}=={}".format(*bound.groups())


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["io"]]:
        print(lowest(requirement))
    for pin in (HERE / "constraints.txt").read_text(encoding="utf-8").splitlines():
        if pin.partition("==")[0] in TOOLS:
            print(pin)


if __name__ == "__main__":
    main()
