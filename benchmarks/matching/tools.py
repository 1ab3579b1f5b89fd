"""One function per package: match the firms, and say how long it took and how near the pairs are.

Each takes the frame and the task and returns (seconds, index pairs or None). Reading and building
of whatever the package wants to have first is not timed, estimation of the propensity is.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Task:
    """What is to be done."""

    title: str
    supported: int
    comparison: int
    columns: int
    kind: str
    exact: bool = False
    tools: tuple[str, ...] = ("exportimpact", "MatchIt")

    @property
    def covariates(self) -> list[str]:
        return [f"x{j}" for j in range(self.columns)]


TASKS = {
    "ps": Task(
        "propensity, 1:1, caliper 0.2 sd",
        10_000,
        50_000,
        8,
        "ps",
        tools=("exportimpact", "MatchIt", "pymatchit-causal", "StatsPAI", "psmpy"),
    ),
    "ps_exact": Task(
        "propensity, 1:1, caliper 0.2 sd, exact on 40 industries", 40_000, 100_000, 8, "ps", True
    ),
    "mahalanobis3": Task(
        "Mahalanobis on 3 covariates, 1:1",
        10_000,
        50_000,
        3,
        "mahalanobis",
        tools=("exportimpact", "MatchIt", "pymatchit-causal", "StatsPAI"),
    ),
    "mahalanobis8": Task(
        "Mahalanobis on 8 covariates within 0.2 sd of the propensity, 1:1",
        40_000,
        100_000,
        8,
        "within",
    ),
    "entropy": Task(
        "entropy balancing of the means of 10 covariates",
        40_000,
        100_000,
        10,
        "entropy",
        tools=("exportimpact", "StatsPAI"),
    ),
}

Found = tuple[float, "np.ndarray | None"]


def exportimpact(frame: pd.DataFrame, task: Task) -> Found:
    """`Design.match` on a design that is there."""
    import exportimpact as ei

    long = pd.concat([frame.assign(year=2014), frame.assign(year=2015)])
    panel = ei.Panel.from_frame(
        long.assign(industry=long["industry"].astype(str)),
        unit="id",
        period="year",
        outcomes=["y"],
        baseline=[*task.covariates, "industry"],
    )
    awards = frame.loc[frame["treat"] == 1, ["id"]].assign(start=2015)
    support = ei.Assignment.from_spells(awards, unit="id", start="start")
    design = ei.Design(panel, support, outcome="y", covariates=task.covariates)
    exact = ["industry"] if task.exact else []
    matcher: Any = {
        "ps": ei.matching.Nearest(caliper=0.2, exact=exact),
        "mahalanobis": ei.matching.Nearest(distance="mahalanobis"),
        "within": ei.matching.Nearest(distance="mahalanobis", propensity_caliper=0.2),
        "entropy": ei.matching.EntropyBalancing(),
    }[task.kind]
    began = time.perf_counter()
    matched = design.match(matcher)
    seconds = time.perf_counter() - began
    if task.kind == "entropy":
        return seconds, None
    pairs = matched.matching.pairs()
    return seconds, pairs[["supported", "comparison"]].to_numpy(dtype=int)


def matchit(frame: pd.DataFrame, task: Task) -> Found:
    """R's MatchIt, timed inside R."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "firms.csv", Path(folder) / "pairs.csv"
        frame.to_csv(source, index=False)
        call = ["Rscript", str(HERE / "match.R"), str(source), str(target), task.kind]
        call += [str(int(task.exact)), "+".join(task.covariates)]
        done = subprocess.run(call, check=True, capture_output=True, text=True)
        return float(done.stdout.split()[-1]), pd.read_csv(target).to_numpy(dtype=int)


def pymatchit(frame: pd.DataFrame, task: Task) -> Found:
    """pymatchit-causal."""
    from pymatchit import MatchIt

    options: dict[str, Any] = {"distance": "glm", "caliper": 0.2}
    if task.kind == "mahalanobis":
        options = {"distance": "mahalanobis"}
    began = time.perf_counter()
    made = MatchIt(frame, method="nearest", **options)
    made.fit("treat ~ " + " + ".join(task.covariates))
    seconds = time.perf_counter() - began
    return seconds, None


def statspai(frame: pd.DataFrame, task: Task) -> Found:
    """StatsPAI."""
    import statspai as sp

    options: dict[str, Any] = {"method": "ebalance"}
    if task.kind != "entropy":
        distance = "propensity" if task.kind == "ps" else "mahalanobis"
        options = {"method": "nearest", "distance": distance, "replace": False, "estimand": "ATT"}
        if task.kind == "ps":
            options["caliper"] = 0.2
    began = time.perf_counter()
    sp.match(frame, y="y", treat="treat", covariates=task.covariates, **options)
    return time.perf_counter() - began, None


def psmpy(frame: pd.DataFrame, task: Task) -> Found:
    """psmpy: nearest on the log odds, a caliper in its unit."""
    from psmpy import PsmPy

    began = time.perf_counter()
    made = PsmPy(frame, treatment="treat", indx="id", exclude=["y", "industry"])
    made.logistic_ps(balance=False)
    width = 0.2 * float(made.predicted_data["propensity_score"].std())
    made.kdtree_matched(matcher="propensity_score", replacement=False, caliper=width)
    return time.perf_counter() - began, None


TOOLS: dict[str, Callable[[pd.DataFrame, Task], Found]] = {
    "exportimpact": exportimpact,
    "MatchIt": matchit,
    "pymatchit-causal": pymatchit,
    "StatsPAI": statspai,
    "psmpy": psmpy,
}
