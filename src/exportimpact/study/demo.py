"""Two demos: the files that a user would write, in `study/`, and the run of them.

"grants": job-training grants to Michigan manufacturers, 157 firms, 1987-89 (Holzer, Block, Cheatham
& Knott 1993, doi:10.1177/001979399304600403), as linearmodels ships them. "vouchers": a synthetic
Korean export-voucher panel of 3,000 firms, whose true effects are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.errors import RunError, did_you_mean
from exportimpact.study.folder import staged
from exportimpact.study.run import StudyRun, finished, write_run

if TYPE_CHECKING:
    from exportimpact.study.perform import Progress

INPUTS = "study"

_GRANTS = """\
# Did job-training grants help manufacturers in Michigan? 157 firms, 1987 to 1989.
schema = 1

[study]
title = "Michigan job-training grants, 1987-89"
question = "What did a one-year training grant do to sales, employment, scrap and training?"

[data]
panel = "panel.csv"
unit = "fcode"
period = "year"
baseline = ["union"]         # the one characteristic that is known for all 157 firms

[support]
file = "support.csv"
start = "year"

[[outcomes]]
name = "sales"
unit = "USD"
scale = "log"

[[outcomes]]
name = "employment"
column = "employ"
unit = "employees"
scale = "log"

[[outcomes]]
name = "scrap_rate"          # reported by 54 of the 157 firms
column = "scrap"
unit = "per 100 items"
scale = "log"

[[outcomes]]
name = "training"            # most firms start at zero, so there is no log
column = "hrsemp"
unit = "hours per employee"

[design]
outcomes = ["sales", "employment", "scrap_rate", "training"]
comparison = "not_yet"       # firms without a grant so far; those of 1989 serve in 1988
covariates = ["union"]

[[estimators]]
id = "benchmark"

[[estimators]]
id = "group_time"
adjust = "none"

[[matching]]                 # firms with a union against firms with one, without against without
matcher = "exact"

[[matching]]                 # weighted to the grant firms' last outcome as well
name = "same_past"
matcher = "entropy_balancing"
lags = 1

[[estimators]]
id = "matched_difference"    # step V-a: levels
matching = "matched"
change = false

[[estimators]]
id = "matched_difference"    # step V-b: change since the year before the grant
matching = "matched"

[[estimators]]
id = "weighting"             # another assumption: firms with the same past are alike
matching = "same_past"

[[objectives]]
outcome = "training"
direction = "increase"
text = "More hours of training per employee."

[[objectives]]
outcome = "scrap_rate"
direction = "decrease"
text = "Fewer items scrapped."
"""

_VOUCHERS = """\
# What did export vouchers do? A synthetic panel of 3,000 Korean firms; the true effects are known.
schema = 1

[study]
title = "Export vouchers, synthetic panel"
question = "What did a first export voucher do to firms' exports, and to how many export?"

[data]
panel = "panel.csv"
unit = "firm_id"
period = "year"
baseline = ["size", "stage"]
exit = "closed"

[support]
file = "support.csv"         # applications and awards of every programme
start = "award_year"
programme = "programme"
amount = "amount"
applied = "applied"
score = "score"
awarded = "awarded"
focus = "voucher"

[[outcomes]]
name = "exporting"
column = "exports"
scale = "binary"

[[outcomes]]
name = "exports"
unit = "KRW m"

[[outcomes]]
name = "ln_exports"
column = "exports"
unit = "KRW m"
scale = "log"

[design]
outcomes = ["exports", "exporting", "ln_exports"]
comparison = "never"
covariates = ["size", "stage"]

[[estimators]]
id = "benchmark"

[[estimators]]
id = "poisson_saturated"     # amounts with zeros, in percent and in money
outcomes = ["exports"]

[[estimators]]
id = "group_time"
adjust = "doubly_robust"

[[matching]]                 # firms of the same stage, with about the same propensity of support
matcher = "nearest"
caliper = 0.2
exact = ["stage"]
replace = true               # so that nearly every supported firm finds one

[[matching]]                 # firms with the same past: another assumption than parallel trends
name = "same_past"
matcher = "entropy_balancing"
lags = 2

[[estimators]]
id = "matched_difference"    # step V-a: levels
matching = "matched"
change = false

[[estimators]]
id = "matched_difference"    # step V-b: change since the base period
matching = "matched"

[[estimators]]
id = "group_time"
adjust = "doubly_robust"
matching = "matched"

[[estimators]]
id = "weighting"
matching = "same_past"

[[subgroups]]                # for whom
column = "stage"

[[margins]]                  # how many firms export, and how much more exporters export
outcome = "exports"
matching = "matched"

[[objectives]]
outcome = "exports"
direction = "increase"
target = 7.0
unit = "%"
text = "Exports of supported firms seven per cent higher."
"""


@dataclass(frozen=True)
class _Demo:
    """The study file, what makes its two tables, and the synthetic draw behind them."""

    study: str
    tables: Callable[[], tuple[pd.DataFrame, pd.DataFrame]]
    synthetic: Mapping[str, Any] | None = None


def demo(
    name: str = "grants",
    out: str | Path = "demo",
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> StudyRun:
    """Write the files of a demo to ``out/study`` and run them into `out`.

    Parameters
    ----------
    name : {"grants", "vouchers"}
    out : path
        Folder to write.
    force : bool
        Replace `out` when it holds a manifest of this package.
    progress : callable, optional
        Called with a few words at each stage.

    Raises
    ------
    RunError
        EI-R14 for an unknown demo, EI-R10 to EI-R13 when `out` cannot be used.
    """
    from exportimpact.study.file import read_study

    if name not in DEMOS:
        raise RunError(
            "EI-R14",
            f"There is no demo {name!r}, so nothing was run. {did_you_mean(name, DEMOS)}",
            demo=name,
        )
    chosen, target = DEMOS[name], Path(out)
    with staged(target, force=force) as folder:
        path = _write_inputs(chosen, folder / INPUTS)
        done = write_run(read_study(path), folder, progress=progress, synthetic=chosen.synthetic)
    return finished(done, target)


def _write_inputs(chosen: _Demo, folder: Path) -> Path:
    folder.mkdir()
    panel, support = chosen.tables()
    for name, frame in (("panel.csv", panel), ("support.csv", support)):
        frame.to_csv(folder / name, index=False, encoding="utf-8", lineterminator="\n")
    path = folder / "study.toml"
    path.write_text(chosen.study, encoding="utf-8", newline="\n")
    return path


def _grants() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Firms by year, and one row per grant.

    `hrsemp` is hours of training over all employees, zero included; the data set's own label,
    hours per trained employee, does not fit its values.
    """
    from linearmodels.datasets import jobtraining

    data = jobtraining.load()
    panel = data[["fcode", "year", "sales", "employ", "scrap", "hrsemp", "union"]]
    grants = data.loc[data["grant"] == 1, ["fcode", "year"]]
    return panel, grants.sort_values(["year", "fcode"])


_DRAW: Mapping[str, Any] = {"scenario": "voucher", "n_firms": 3000, "n_periods": 10, "seed": 1}


def _vouchers() -> tuple[pd.DataFrame, pd.DataFrame]:
    from exportimpact.synthetic import scenario

    arguments = dict(_DRAW)
    bench = scenario(arguments.pop("scenario")).draw(**arguments)
    return bench.frame, bench.spells


DEMOS: Mapping[str, _Demo] = {
    "grants": _Demo(_GRANTS, _grants),
    "vouchers": _Demo(_VOUCHERS, _vouchers, _DRAW),
}
"""Demos by name."""
