"""Replications: a panel is drawn once per seed, all estimators see it, and what they say is kept.

Seeds are 1, 2, ... draws. Rows are kept in memory and, with a folder, on disk by the digest of
estimator, scenario and engine, so that an interrupted run goes on where it stopped and a changed
cell alone is run again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from exportimpact.conformance.digests import (
    digest,
    engine_digest,
    estimator_digest,
    scenario_digest,
)
from exportimpact.conformance.lock import alone
from exportimpact.conformance.standing import draw_design
from exportimpact.errors import ExportImpactError

BATCH = 10
CRASH = "crash"
COLUMNS = (
    "code",
    "estimate",
    "std_error",
    "ci_low",
    "ci_high",
    "p_value",
    "truth",
    "population",
    "pretrend_p",
    "flags",
    "asked",
)
_TEXT = frozenset({"code", "population", "flags", "asked"})

Row: TypeAlias = dict[str, Any]
Say: TypeAlias = Callable[[str, int], None]


@dataclass(frozen=True)
class Cell:
    """What is drawn: a scenario, an effect preset (None: its own), and a number of firms."""

    scenario: str
    preset: str | None
    n_firms: int


@dataclass(frozen=True)
class Order:
    """How much of a cell is wanted.

    Attributes
    ----------
    cell : Cell
    draws : int
    diagnosed : int
        On how many of the first draws diagnostics run.
    """

    cell: Cell
    draws: int
    diagnosed: int = 0


@dataclass(eq=False)
class Bank:
    """Where replications are made and kept.

    Attributes
    ----------
    jobs : int
        Processes.
    folder : Path or None
        Where rows are kept between runs.
    say : callable or None
        Told the name of a cell and the replications done since the last call.
    """

    jobs: int = 1
    folder: Path | None = None
    say: Say | None = None
    _rows: dict[tuple[str, Cell], pd.DataFrame] = field(default_factory=dict)

    def rows(self, estimator: Any, order: Order) -> pd.DataFrame:
        """Return one row for each seed 1, ..., draws.

        Parameters
        ----------
        estimator : Estimator
        order : Order

        Returns
        -------
        DataFrame
            Index seed; code (empty, the refusal's code, or ``crash: ...``), estimate, std_error,
            ci_low, ci_high, p_value, truth, population, pretrend_p, flags (assumptions called into
            question, separated by blanks; missing where diagnostics did not run), asked
            (assumptions that some diagnostic judged).
        """
        self.fill([(estimator, order)])
        return self._rows[estimator_digest(estimator), order.cell].loc[1 : order.draws]

    def kept(self, estimator: Any, cell: Cell) -> pd.DataFrame:
        """Return the rows that are there, however many; columns as in `rows`."""
        return self._load(estimator, cell)

    def fill(
        self, wanted: Sequence[tuple[Any, Order]], *, seconds: float = math.inf
    ) -> dict[Cell, int]:
        """Make the replications that are missing; a panel serves all estimators that want it.

        Parameters
        ----------
        wanted : sequence of (estimator, order)
        seconds : float
            Core-seconds for each pair of estimator and cell, after which a cell is left as it is.

        Returns
        -------
        dict of Cell to int
            Draws that every estimator of the cell has.
        """
        by_cell: dict[Cell, list[tuple[Any, Order]]] = {}
        for estimator, order in wanted:
            by_cell.setdefault(order.cell, []).append((estimator, order))
        return {cell: self._fill(cell, asked, seconds) for cell, asked in by_cell.items()}

    def _fill(self, cell: Cell, wanted: list[tuple[Any, Order]], seconds: float) -> int:
        if self._missing(cell, wanted):
            with alone(self._path(estimator_digest(wanted[0][0]), cell)):
                self._forget(cell, wanted)  # another process may have made them meanwhile
                self._make(cell, wanted, self._missing(cell, wanted), seconds)
        return min(_complete(self._load(e, cell)) for e, _ in wanted)

    def _missing(
        self, cell: Cell, wanted: list[tuple[Any, Order]]
    ) -> dict[int, list[tuple[Any, bool]]]:
        """Return by seed which estimators lack it, and whether diagnostics are to run."""
        missing: dict[int, list[tuple[Any, bool]]] = {}
        for estimator, order in wanted:
            have = self._load(estimator, cell)
            judged = have["flags"].notna()
            for seed in range(1, order.draws + 1):
                diagnose = seed <= order.diagnosed
                if seed not in have.index or (diagnose and not judged[seed]):
                    missing.setdefault(seed, []).append((estimator, diagnose))
        return missing

    def _make(
        self,
        cell: Cell,
        wanted: list[tuple[Any, Order]],
        missing: dict[int, list[tuple[Any, bool]]],
        seconds: float,
    ) -> None:
        seeds = sorted(missing)
        batches = [seeds[i : i + BATCH] for i in range(0, len(seeds), BATCH)]
        tasks = [(cell, [(seed, missing[seed]) for seed in batch]) for batch in batches]
        budget = seconds * len(wanted)
        spent = 0.0
        for wave in _waves(tasks, self.jobs):
            for made, used in _run(wave, self.jobs):
                spent += used
                self._keep(made, cell)
                if self.say is not None:
                    self.say(cell.scenario, BATCH)
            self._save(cell, wanted)
            if spent > budget:
                break

    def _forget(self, cell: Cell, wanted: list[tuple[Any, Order]]) -> None:
        if self.folder is not None:
            for estimator, _ in wanted:
                self._rows.pop((estimator_digest(estimator), cell), None)

    def _load(self, estimator: Any, cell: Cell) -> pd.DataFrame:
        key = estimator_digest(estimator), cell
        if key not in self._rows:
            frame = pd.DataFrame(columns=list(COLUMNS), index=pd.Index([], name="seed", dtype=int))
            path = self._path(key[0], cell)
            if path is not None and path.is_file():
                frame = _read(path)
            self._rows[key] = frame
        return self._rows[key]

    def _keep(self, made: Mapping[str, list[Row]], cell: Cell) -> None:
        for key, rows in made.items():
            fresh = _typed(pd.DataFrame(rows).set_index("seed")[list(COLUMNS)])
            old = self._rows[key, cell]
            kept = old.drop(fresh.index, errors="ignore")
            whole = fresh if kept.empty else pd.concat([kept, fresh])
            self._rows[key, cell] = whole.sort_index()

    def _save(self, cell: Cell, wanted: Iterable[tuple[Any, Order]]) -> None:
        for estimator, _ in wanted:
            key = estimator_digest(estimator)
            path = self._path(key, cell)
            if path is None:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            half = path.with_suffix(".part")  # an interrupted write never looks like a whole one
            self._rows[key, cell].to_csv(half, float_format="%.17g", na_rep="NaN")
            half.replace(path)

    def _path(self, key: str, cell: Cell) -> Path | None:
        if self.folder is None:
            return None
        parts = (key, engine_digest(), scenario_digest(cell.scenario), repr(cell))
        return self.folder / cell.scenario / f"{digest(*parts)[:24]}.csv"


def _complete(rows: pd.DataFrame) -> int:
    """Return up to which seed all rows are there."""
    seeds = set(rows.index)
    last = 0
    while last + 1 in seeds:
        last += 1
    return last


def _waves(tasks: list[Any], jobs: int) -> Iterable[list[Any]]:
    # A wave ends with a save and a look at the clock.
    size = 5 * jobs
    return (tasks[i : i + size] for i in range(0, len(tasks), size))


def _run(tasks: list[Any], jobs: int) -> Iterable[tuple[dict[str, list[Row]], float]]:
    if jobs == 1 or len(tasks) == 1:
        return (replicate(*task) for task in tasks)
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(n_jobs=jobs, return_as="generator")
        done: Iterable[tuple[dict[str, list[Row]], float]] = parallel(
            joblib.delayed(_in_a_worker)(*task) for task in tasks
        )
    return done


def replicate(
    cell: Cell, work: list[tuple[int, list[tuple[Any, bool]]]]
) -> tuple[dict[str, list[Row]], float]:
    """Return the rows of some seeds by estimator, and the seconds that they took.

    Parameters
    ----------
    cell : Cell
    work : list of (seed, list of (estimator, whether diagnostics run))
    """
    began = time.process_time()
    made: dict[str, list[Row]] = {}
    for seed, estimators in work:
        bench, sealed, refusal = None, None, ""
        try:
            bench, design = draw_design(
                cell.scenario, n_firms=cell.n_firms, seed=seed, preset=cell.preset
            )
            sealed = design.seal()
        except ExportImpactError as error:
            refusal = error.code
        known: dict[tuple[str, bool], Row] = {}
        for estimator, diagnose in estimators:
            row: Row = dict.fromkeys(COLUMNS)
            row |= {"seed": seed, "code": refusal}
            if not refusal:
                key = estimator_digest(_as_used(estimator, sealed)), diagnose
                if key not in known:
                    known[key] = _row(estimator, bench, sealed, diagnose=diagnose)
                row |= known[key]
            if diagnose and row["flags"] is None:
                row |= {"flags": "", "asked": ""}
            made.setdefault(estimator_digest(estimator), []).append(row)
    return made, time.process_time() - began


def _in_a_worker(*task: Any) -> tuple[dict[str, list[Row]], float]:
    # A package that an estimator wraps may turn on logging for everybody when it is imported.
    logging.getLogger("exportimpact").setLevel(logging.WARNING)
    return replicate(*task)


def _as_used(estimator: Any, sealed: Any) -> Any:
    """Return the configuration that the estimator says gives the same on this design."""
    used = getattr(estimator, "as_used", None)
    return used(sealed) if callable(used) else estimator


def _row(estimator: Any, bench: Any, sealed: Any, *, diagnose: bool) -> Row:
    try:
        result = estimator.estimate(sealed)
        overall = result.overall("simple")
        line = overall.table().iloc[0]
    except ExportImpactError as error:
        return {"code": error.code}
    except Exception as error:  # a stranger's estimator may raise anything: that is what is asked
        return {"code": f"{CRASH}: {type(error).__name__}: {error}"[:200].replace("\n", " ")}
    row: Row = {name: float(line[name]) for name in ("estimate", "std_error", "ci_low", "ci_high")}
    row["p_value"] = float(line["p_value"])
    row |= _truth(bench, overall)
    with suppress(ExportImpactError):
        row["pretrend_p"] = result.pretrend_test().p_value
    if diagnose:
        row |= _findings(result)
    return row


def _truth(bench: Any, overall: Any) -> Row:
    """Return the truth in the population that firms come from, else among the firms drawn."""
    estimand = overall.estimand
    if estimand.firms == "overlap":
        return {"truth": math.nan, "population": "unknown"}
    if estimand.firms == "kept":
        kept = np.zeros(overall.units.size, dtype=bool)
        for cohort in overall.design.cohorts:
            kept[overall.design.members(cohort)] = True
        value = bench.truth.value(estimand.in_population("sample"), among=kept)
        return {"truth": float(value), "population": "sample"}
    for population in ("super", "sample"):
        try:
            value = bench.truth.value(estimand.in_population(population))
        except ExportImpactError as error:
            if error.code != "EI-X07":
                break
            continue
        return {"truth": float(value), "population": population}
    return {"truth": math.nan, "population": "unknown"}


def _findings(result: Any) -> Row:
    from exportimpact.diagnostics import diagnose

    flags, asked = set(), set()
    for finding in diagnose(result.design, result):
        if finding.assumption is None:
            continue
        if finding.verdict in {"SUPPORTS", "CONCERN", "CONTRADICTS"}:
            asked.add(finding.assumption)
        if finding.verdict in {"CONCERN", "CONTRADICTS"}:
            flags.add(finding.assumption)
    return {"flags": " ".join(sorted(flags)), "asked": " ".join(sorted(asked))}


def _read(path: Path) -> pd.DataFrame:
    # Read as text, since not every pandas reads a float back to its last digit; empty text is "no
    # flag", NaN is "diagnostics did not run".
    frame = pd.read_csv(path, index_col="seed", dtype=str, keep_default_na=False, na_values=["NaN"])
    frame.index = frame.index.astype(int)
    return _typed(frame)


def _typed(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows whose numbers are floats, though every draw was refused and has none."""
    return rows.astype({c: float for c in COLUMNS if c not in _TEXT})
