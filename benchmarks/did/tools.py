"""One function per package: effects by event time with simultaneous bands, from a long frame.

Each is made in two parts: `prepare` gives the package the frame as it wants to have it and is not
timed, `run` is. Doubly robust with two covariates, firms without support as comparison, every cell
against the last period before support; effects by event time with bands that hold for all of them
at once, from 999 draws of the multiplier bootstrap where the package has no other way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from data import COHORTS, COVARIATES, PERIODS

DRAWS = 999
Effects = dict[int, tuple[float, float]]
"""Event time: effect and its standard error."""


@dataclass(frozen=True)
class Tool:
    """How a package is called."""

    name: str
    distribution: str
    prepare: Callable[[pd.DataFrame], Any]
    run: Callable[[Any], Effects]
    note: str = ""


def _missing(frame: pd.DataFrame) -> pd.DataFrame:
    """Never supported is a missing value."""
    frame["first"] = frame["first"].where(frame["first"] > 0)
    return frame


def exportimpact(frame: pd.DataFrame, estimator: str = "GroupTime") -> Effects:
    """From the frame to the bands, checks, fingerprint and seal included."""
    import exportimpact as ei

    outcome = "exports" if "Poisson" in estimator else "y"
    panel = ei.Panel.from_frame(
        frame, unit="id", period="year", outcomes=[outcome], baseline=COVARIATES
    )
    support = ei.Assignment.from_first_period(frame, unit="id", first_period="first")
    design = ei.Design(panel, support, outcome=outcome, covariates=COVARIATES)
    result = getattr(ei.did, estimator)().estimate(design)
    return _effects(result.aggregate("event_time").bands(), "event_time", "estimate", "std_error")


def with_zeros(frame: pd.DataFrame) -> pd.DataFrame:
    """Add exports: money, and nothing at all for many."""
    frame["exports"] = np.exp(0.3 * frame["y"]) * (frame["y"] > 0)
    return _missing(frame)


def diff_diff(frame: pd.DataFrame) -> Effects:
    """diff-diff."""
    from diff_diff import CallawaySantAnna

    made = CallawaySantAnna(
        control_group="never_treated",
        estimation_method="dr",
        base_period="universal",
        n_bootstrap=DRAWS,
        cband=True,
        seed=1,
    ).fit(
        frame,
        outcome="y",
        unit="id",
        time="year",
        first_treat="first",
        covariates=COVARIATES,
        aggregate="event_study",
    )
    return _effects(pd.DataFrame(made.event_study_effects).T.reset_index(), "index", "effect", "se")


def moderndid(frame: pd.DataFrame) -> Effects:
    """moderndid."""
    import moderndid as md

    cells = md.att_gt(
        frame,
        yname="y",
        tname="year",
        idname="id",
        gname="first",
        xformla="~ x1 + x2",
        est_method="dr",
        control_group="nevertreated",
        base_period="universal",
        boot=True,
        biters=DRAWS,
        random_state=1,
    )
    made = md.aggte(cells, type="dynamic", boot=True, biters=DRAWS, cband=True, random_state=1)
    return _zipped(made.event_times, made.att_by_event, made.se_by_event)


def csdid(frame: pd.DataFrame) -> Effects:
    """csdid."""
    from csdid.att_gt import ATTgt

    made = ATTgt(
        yname="y",
        tname="year",
        idname="id",
        gname="first",
        data=frame,
        control_group=["nevertreated"],
        xformla="y ~ x1 + x2",
        cband=True,
        biters=DRAWS,
    ).fit(est_method="dr", base_period="universal")
    found = made.aggte("dynamic", bstrap=True, cband=True, biters=DRAWS).atte
    return _zipped(found["egt"], found["att_egt"], np.ravel(found["se_egt"]))


def differences(frame: pd.DataFrame) -> Effects:
    """differences."""
    from differences import ATTgt

    made = ATTgt(frame, cohort_column="first", base_period="universal")
    made.fit("y ~ x1 + x2", est_method="dr", control_group="never_treated", progress_bar=False)
    table = made.aggregate("event", boot_iterations=DRAWS, random_state=1)
    table.columns = [column[-1] for column in table.columns]
    return _effects(table.reset_index(names="since"), "since", "ATT", "std_error")


def statspai(frame: pd.DataFrame) -> Effects:
    """StatsPAI."""
    import statspai as sp

    cells = sp.callaway_santanna(
        frame, y="y", g="first", t="year", i="id", x=COVARIATES, estimator="dr", random_state=1
    )
    made = sp.aggte(cells, type="dynamic", bstrap=True, n_boot=DRAWS, cband=True, random_state=1)
    return _effects(made.detail, "relative_time", "att", "se")


def pyfixest(frame: pd.DataFrame) -> Effects:
    """pyfixest: local projections, the nearest that it has.

    Long differences of supported and never supported firms as well, adjusted by a linear regression
    for each horizon; without a propensity, and with intervals that hold one at a time.
    """
    import pyfixest as pf

    made = pf.lpdid(
        frame,
        yname="y",
        idname="id",
        tname="year",
        gname="first",
        vcov={"CRV1": "id"},
        pre_window=int(PERIODS[0] - COHORTS[-1]),
        post_window=int(PERIODS[-1] - COHORTS[0]),
        never_treated=0,
        att=False,
        xfml="x1 + x2",
    )
    table = made.tidy()
    when = [int(name.split("::")[1]) for name in table.index]
    return _zipped(when, table["Estimate"], table["Std. Error"])


def _effects(table: pd.DataFrame, when: str, effect: str, error: str) -> Effects:
    return _zipped(table[when], table[effect], table[error])


def _zipped(when: Any, effect: Any, error: Any) -> Effects:
    rows = zip(when, effect, error, strict=True)
    # The reference period has no error; not every package lists it.
    return {int(e): (float(b), float(s)) for e, b, s in rows if np.isfinite(s)}


def _as_it_is(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def _indexed(frame: pd.DataFrame) -> pd.DataFrame:
    return _missing(frame).set_index(["id", "year"])


PEERS = (
    Tool("exportimpact", "exportimpact", _missing, exportimpact),
    Tool("diff-diff", "diff-diff", _as_it_is, diff_diff),
    Tool("moderndid", "moderndid", _as_it_is, moderndid),
    Tool("csdid", "csdid", _as_it_is, csdid),
    Tool("differences", "differences", _indexed, differences),
    Tool("StatsPAI", "StatsPAI", _as_it_is, statspai),
    Tool("pyfixest", "pyfixest", _as_it_is, pyfixest, "local projections"),
)


def family() -> tuple[Tool, ...]:
    """Return the other estimators of `exportimpact.did` that need no column named."""
    import exportimpact as ei

    names = [name for name in dir(ei.did) if hasattr(getattr(ei.did, name), "spec")]
    return tuple(
        Tool(name, "exportimpact", with_zeros, partial(exportimpact, estimator=name))
        for name in names
        if name not in {"GroupTime", "TripleDifference"}
    )
