"""The frozen bench: every scenario as files that an auditor can read without this package.

For each scenario: a card, the panel and the awards of one small draw, and its truths. Numbers are
written with nine significant digits, so that a last bit that differs between machines does not
matter; hashes are those of the content before compression.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from exportimpact._typing import Aggregation
from exportimpact.core.estimand import Estimand
from exportimpact.data import NEVER
from exportimpact.errors import InputError
from exportimpact.synthetic.bench import Bench, Scenario
from exportimpact.synthetic.cards import write_card

N_FIRMS, SEED = 120, 20_260
_BY: tuple[Aggregation, ...] = ("simple", "event_time", "cohort", "calendar")
_GZIP = ".gz"


def frozen_files(scenario: Scenario) -> dict[str, bytes]:
    """Return the files of a scenario: relative path and content before compression.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    dict of str to bytes
        Paths that end in ``.gz`` are compressed when they are written.
    """
    name, bench = scenario.name, scenario.draw(n_firms=N_FIRMS, seed=SEED)
    files = {
        f"cards/{name}.md": write_card(scenario).encode(),
        f"panels/{name}.csv.gz": _csv(bench.frame),
        f"panels/{name}.awards.csv.gz": _csv(bench.spells),
        f"truth/{name}.json": (json.dumps(_truths(bench), indent=1) + "\n").encode(),
    }
    if bench.survey is not None:
        files[f"panels/{name}.survey.csv.gz"] = _csv(bench.survey)
    return files


def digest(content: bytes) -> str:
    """Return the SHA-256 of a file's content before compression."""
    return hashlib.sha256(content).hexdigest()


def packed(path: str, content: bytes) -> bytes:
    """Return what is written to `path`: compressed, without a time, when it ends in ``.gz``."""
    return gzip.compress(content, 9, mtime=0) if path.endswith(_GZIP) else content


def unpacked(path: str, stored: bytes) -> bytes:
    """Return the content of what was written to `path`."""
    return gzip.decompress(stored) if path.endswith(_GZIP) else stored


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, float_format="%.9g", lineterminator="\n").encode()


def _truths(bench: Bench) -> dict[str, Any]:
    """Every truth of a draw, by outcome, population and aggregation."""
    truth = bench.truth
    never = truth.cohort == NEVER
    cohorts, sizes = np.unique(truth.cohort[~never], return_counts=True)
    return {
        "scenario": bench.scenario.name,
        "preset": bench.preset,
        "firms": N_FIRMS,
        "seed": SEED,
        "cohorts": {str(g): int(n) for g, n in zip(cohorts, sizes, strict=True)},
        "never_supported": int(never.sum()),
        "outcomes": {name: dict(_of_outcome(bench, name)) for name in truth.outcomes},
    }


def _of_outcome(bench: Bench, outcome: str) -> Iterator[tuple[str, Any]]:
    truth = bench.truth
    cohorts = [int(g) for g in np.unique(truth.cohort) if g != NEVER]
    cells = tuple((g, int(t)) for g in cohorts for t in truth.periods if t >= g)
    asked = Estimand(outcome=outcome, scale=truth.outcomes[outcome].scale, unit=None, cells=cells)
    yield "scale", asked.scale
    for population in ("sample", "super"):
        if population == "super" and outcome not in truth.laws:
            continue
        values: dict[str, Any] = {}
        for by in _BY:
            overall = Estimand(
                outcome=outcome,
                scale=asked.scale,
                unit=None,
                cells=cells,
                aggregation=by,
                overall=True,
                population=population,
            )
            values[by] = _value(bench, overall)
        values["cells"] = {
            f"{g}, {t}": _value(bench, asked.at((g, t)).in_population(overall.population))
            for g, t in cells
        }
        yield population, values
    changes = {str(t): _spillover(bench, outcome, int(t)) for t in truth.periods}
    if any(changes.values()):
        yield "never_supported", changes


def _value(bench: Bench, estimand: Estimand) -> float | None:
    """Return the truth, or None where no firm has it (all have closed, or none exports)."""
    try:
        return _rounded(bench.truth.value(estimand))
    except InputError:
        return None


def _spillover(bench: Bench, outcome: str, period: int) -> float | None:
    try:
        return _rounded(bench.truth.spillover(outcome, period))
    except InputError:
        return None


def _rounded(value: float) -> float:
    return float(f"{value:.9g}")


def compare(manifest: Mapping[str, str], files: Mapping[str, bytes]) -> list[str]:
    """Return the paths whose content is not that of the manifest, or that it does not have."""
    return [path for path, content in files.items() if manifest.get(path) != digest(content)]
