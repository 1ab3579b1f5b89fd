"""Difference-in-differences side by side: ``python benchmarks/did/run.py`` prints two tables.

Each package does each size in a process of its own, so that memory is its own too; one that is not
installed, fails, needs more memory or takes longer than the limit is shown as such. What is
finished is kept in a file, so that a run can be stopped and taken up again:

    python benchmarks/did/run.py measure 2000 20000     # what is missing of these sizes
    python benchmarks/did/run.py forget exportimpact    # measure a package again
    python benchmarks/did/run.py table                  # from what is there
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from data import panel
from tools import PEERS, Tool, family

SIZES = (2_000, 20_000, 100_000, 1_000_000)
OWN_SIZES = (20_000, 1_000_000)
LIMIT = 600
"""Seconds of the processor for a package and a size; three times as many on the clock."""
MEMORY = 10
"""GB of data that a process may hold."""
STORE = Path(os.environ.get("EXPORTIMPACT_BENCH", ".exportimpact_bench")) / "did.json"

Row = dict[str, Any]


def one(name: str, firms: int) -> None:
    """Run one package on one size and print what came of it as JSON."""
    peers = {tool.name: tool for tool in PEERS}
    tool = peers.get(name) or {tool.name: tool for tool in family()}[name]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY * 2**30,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT + 5))
    warnings.simplefilter("ignore")
    frame = tool.prepare(panel(firms))
    before, used, began = _peak(), _processor(), time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        effects = tool.run(frame)
    seconds, processor = time.perf_counter() - began, _processor() - used
    row = {"seconds": seconds, "processor": processor, "memory": _peak(), "before": before}
    print(json.dumps({**row, "effects": effects}))


def _peak() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, children) / 1024


def _processor() -> float:
    """Return the seconds that this process and those it started were on a processor."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(sum(resource.getrusage(who)[:2]) for who in whose)


def measure(sizes: tuple[int, ...]) -> None:
    """Measure what is missing, small sizes first."""
    todo = [(n, tool) for n in sizes for tool in PEERS]
    todo += [(n, tool) for n in sizes if n in OWN_SIZES for tool in family()]
    done = _stored()
    for firms, tool in todo:
        key = f"{tool.name} {firms}"
        if key in done:
            continue
        done[key] = {**_row(tool, firms), "date": time.strftime("%Y-%m-%d"), **_machine()}
        STORE.parent.mkdir(parents=True, exist_ok=True)
        STORE.write_text(json.dumps(done, indent=1))
        print(key, {k: v for k, v in done[key].items() if k != "effects"}, flush=True)


def _stored() -> dict[str, Row]:
    found: dict[str, Row] = json.loads(STORE.read_text()) if STORE.exists() else {}
    return found


def _machine() -> Row:
    """Return how many processes waited for a processor just now, beside those that it has."""
    return {"load": round(os.getloadavg()[0], 1)}


def _row(tool: Tool, firms: int) -> Row:
    try:
        made = version(tool.distribution)
    except PackageNotFoundError:
        return {"note": "not installed"}
    call = [sys.executable, __file__, "one", tool.name, str(firms)]
    try:
        done = subprocess.run(
            call,
            capture_output=True,
            text=True,
            timeout=3 * LIMIT,
            check=False,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        return {"note": f"more than {3 * LIMIT} s", "version": made}
    if done.returncode:
        return {"note": _failure(done), "version": made}
    found: Row = json.loads(done.stdout.strip().splitlines()[-1])
    return {**found, "version": made}


def _failure(done: subprocess.CompletedProcess[str]) -> str:
    told = done.stderr.strip()
    if done.returncode == -signal.SIGXCPU:
        return f"more than {LIMIT} s of the processor"
    short = ("MemoryError", "Unable to allocate", "bad_alloc", "memory allocation")
    if any(sign in told for sign in short):
        return f"needs more than {MEMORY} GB"
    if done.returncode < 0:
        return f"stopped by {signal.Signals(-done.returncode).name}"
    return (told.splitlines() or ["stopped"])[-1][:60].replace("|", "/")


def table() -> str:
    """Return what is stored as two Markdown tables."""
    done = _stored()
    lines = [
        "| firms x 10 years | package | seconds | times ours | of the processor | times ours "
        "| peak MB | times ours | largest difference in an effect | in an error |",
        "| ---: | --- |" + " ---: |" * 8,
    ]
    for firms in SIZES:
        ours = done.get(f"exportimpact {firms}", {})
        rows = [(tool, done.get(f"{tool.name} {firms}")) for tool in PEERS]
        lines += [_line(firms, tool, row, ours) for tool, row in rows if row is not None]
    lines += ["", "| estimator | firms x 10 years | seconds | of the processor | peak MB |"]
    lines += ["| --- | ---: | ---: | ---: | ---: |"]
    for tool in family():
        for firms in OWN_SIZES:
            row = done.get(f"{tool.name} {firms}")
            if row is not None:
                lines.append(f"| {tool.name} | {firms:,} | {_short(row)} |")
    return "\n".join(lines)


def _short(row: Row) -> str:
    if "note" in row:
        return f"{row['note']} | | "
    return f"{row['seconds']:.2f} | {row['processor']:.2f} | {row['memory']:,.0f}"


def _line(firms: int, tool: Tool, row: Row, ours: Row) -> str:
    name = f"{tool.name} ({tool.note})" if tool.note else tool.name
    if "note" in row:
        return f"| {firms:,} | {name} | {row['note']} |" + " |" * 7
    cells = []
    compared = tool.name != "exportimpact" and "seconds" in ours
    for what, digits in (("seconds", ".2f"), ("processor", ".2f"), ("memory", ",.0f")):
        ratio = f"{row[what] / ours[what]:.1f}" if compared else ""
        cells += [format(row[what], digits), ratio]
    cells += _differences(row["effects"], ours["effects"]) if compared else ["", ""]
    return f"| {firms:,} | {name} | " + " | ".join(cells) + " |"


def _differences(theirs: dict[str, list[float]], ours: dict[str, list[float]]) -> list[str]:
    both = theirs.keys() & ours.keys()
    if len(both) < len(ours):
        return [f"{len(ours) - len(both)} effects missing", ""]
    effect = max(abs(theirs[e][0] - ours[e][0]) for e in both)
    error = max(abs(theirs[e][1] / ours[e][1] - 1) for e in both)
    return [f"{effect:.1g}", f"{100 * error:.1f} %"]


def versions() -> str:
    """Return dates, machine and versions in one line."""
    rows = _stored().values()
    dates = sorted({row["date"] for row in rows})
    told = [" to ".join(dates[:: max(1, len(dates) - 1)]), platform.machine()]
    told += [f"{os.cpu_count()} cores", f"Python {platform.python_version()}"]
    names = [tool.distribution for tool in PEERS] + ["numpy", "pandas", "scipy"]
    for name in dict.fromkeys(names):
        with contextlib.suppress(PackageNotFoundError):
            told.append(f"{name} {version(name)}")
    loads = [row["load"] for row in rows]
    told.append(f"load {min(loads)} to {max(loads)}")
    return ", ".join(told)


def forget(name: str) -> None:
    """Drop the measurements of a package or estimator."""
    kept = {key: row for key, row in _stored().items() if key.rpartition(" ")[0] != name}
    STORE.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    command, *rest = sys.argv[1:] or ["all"]
    if command == "one":
        one(rest[0], int(rest[1]))
    elif command == "forget":
        forget(rest[0])
    else:
        if command in {"all", "measure"}:
            measure(tuple(map(int, rest)) or SIZES)
        print(versions() + "\n\n" + table())
