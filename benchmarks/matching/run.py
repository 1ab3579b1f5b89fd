"""Matching side by side: ``python benchmarks/matching/run.py`` prints a table.

Each package runs every task in a process of its own, so that memory is its own too; one that is not
installed, cannot do a task or takes longer than the limit is shown as such.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

from data import firms
from tools import TASKS, TOOLS, Task

LIMIT = 300
"""Seconds for a package and a task."""


def one(tool: str, name: str) -> None:
    """Run one package on one task and print what came of it as JSON."""
    task = TASKS[name]
    frame = firms(task.supported, task.comparison, task.columns)
    before = _peak()
    seconds, pairs = TOOLS[tool](frame, task)
    print(
        json.dumps(
            {"seconds": seconds, "memory": _peak(), "before": before, **_near(frame, task, pairs)}
        )
    )


def _peak() -> float:
    who = resource.RUSAGE_SELF
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(resource.getrusage(who).ru_maxrss, children) / 1024


def _near(frame: pd.DataFrame, task: Task, pairs: np.ndarray | None) -> dict[str, float]:
    """Return number of pairs and their mean distance in what was matched on."""
    if pairs is None or not len(pairs):
        return {}
    X = frame[task.covariates].to_numpy()
    own = frame["treat"].to_numpy() == 1
    at = np.empty(len(frame), dtype=int)
    at[frame["id"]] = np.arange(len(frame))
    left, right = at[pairs[:, 0]], at[pairs[:, 1]]
    if task.kind == "ps":
        score = _propensity(X, own)
        distance = np.abs(score[left] - score[right])
    else:
        centred = np.where(own[:, None], X - X[own].mean(axis=0), X - X[~own].mean(axis=0))
        root = np.linalg.cholesky(np.linalg.inv(centred.T @ centred / (len(X) - 2)))
        distance = np.sqrt((((X[left] - X[right]) @ root) ** 2).sum(axis=1))
    return {"pairs": len(pairs), "distance": float(distance.mean())}


def _propensity(X: np.ndarray, own: np.ndarray) -> np.ndarray:
    from exportimpact.numerics.regression import logit

    with_constant = np.column_stack([np.ones(len(X)), X])
    return logit(with_constant, own.astype(float), np.ones(len(X))).probability


def table() -> str:
    """Return all results as a Markdown table."""
    lines = [
        "| task | firms | package | seconds | times ours | peak MB | pairs | mean distance |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, task in TASKS.items():
        ours = None
        for tool in task.tools:
            row = _row(tool, name)
            if tool == "exportimpact":
                ours = row.get("seconds")
            lines.append(_line(task, tool, row, ours))
            print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def _row(tool: str, name: str) -> dict[str, float | str]:
    call = [sys.executable, __file__, "one", tool, name]
    try:
        done = subprocess.run(call, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"note": f"more than {LIMIT} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["stopped"])[-1]
        return {"note": last[:60].replace("|", "/")}
    found: dict[str, float | str] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _line(task: Task, tool: str, row: dict[str, float | str], ours: float | str | None) -> str:
    size = f"{task.supported:,} x {task.comparison:,}"
    if "note" in row:
        return f"| {task.title} | {size} | {tool} | {row['note']} | | | | |"
    seconds = float(row["seconds"])
    ratio = (
        f"{seconds / float(ours):.1f}" if isinstance(ours, float) and tool != "exportimpact" else ""
    )
    pairs = f"{row['pairs']:,}" if "pairs" in row else ""
    distance = f"{row['distance']:.3g}" if "distance" in row else ""
    return (
        f"| {task.title} | {size} | {tool} | {seconds:.2f} | {ratio} | {row['memory']:,.0f} "
        f"| {pairs} | {distance} |"
    )


def versions() -> str:
    """Return date, machine and versions in one line."""
    told = [time.strftime("%Y-%m-%d"), platform.machine(), f"{os.cpu_count()} cores"]
    told.append(f"Python {platform.python_version()}")
    for name in ("exportimpact", "numpy", "scipy", "pymatchit-causal", "StatsPAI", "psmpy"):
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    call = ["Rscript", "-e", "cat(as.character(packageVersion('MatchIt')))"]
    try:
        told.append(
            "MatchIt " + subprocess.run(call, capture_output=True, text=True, check=True).stdout
        )
    except (OSError, subprocess.CalledProcessError):
        told.append("R's MatchIt not installed")
    return ", ".join(told)


if __name__ == "__main__":
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2], sys.argv[3])
    else:
        print(versions() + "\n")
        print(table())
