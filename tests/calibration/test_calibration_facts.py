"""The export world against facts about Korean firms, each with its source and its band.

One draw of 50,000 firms. Parameters of the world were tuned to the targets and most moments were
known when the bands were written, so that this guards against change; it is no test out of sample.
Bands hold the spread between sources, years and definitions (the
facts are about all exporters, the panel about manufacturing firms of five or more employees), not
only sampling error; shares of value rest on few firms, and have wide ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from exportimpact.synthetic import scenario
from exportimpact.synthetic.exporting import USD

CUSTOMS = "Korea Customs Service, trade activity of enterprises"
KOSTAT_2019 = "customs statistics 2019, size tail"
TABLE_22 = "KDI/KSP (2013), Table 2-2 (1992)"
FIT = "fit to KDI/KSP (2013), Table 2-2"


@dataclass(frozen=True)
class Fact:
    """A target, the band that the generated moment has to be in, and the source."""

    name: str
    target: float
    low: float
    high: float
    source: str


FACTS = (
    Fact(
        "share of firms that export",
        0.50,
        0.44,
        0.56,
        "premise: half do not export",
    ),
    Fact("new exporters alive after 1 year", 0.49, 0.44, 0.54, CUSTOMS),
    Fact("new exporters alive after 3 years", 0.247, 0.20, 0.30, CUSTOMS),
    Fact("new exporters alive after 5 years", 0.17, 0.13, 0.21, CUSTOMS),
    Fact("yearly survival, years 2 and 3", 0.71, 0.65, 0.77, f"{CUSTOMS}, derived"),
    Fact("yearly survival, years 4 and 5", 0.83, 0.76, 0.88, f"{CUSTOMS}, derived"),
    Fact("entrants among exporters", 0.28, 0.22, 0.33, f"{CUSTOMS}, traders 2016"),
    Fact("exporters that stop", 0.26, 0.21, 0.32, f"{CUSTOMS}, traders 2016"),
    Fact("exporters for 5 years or more", 0.405, 0.35, 0.47, "KIET"),
    Fact("their share of value", 0.80, 0.65, 0.95, "KIET"),
    Fact("share of value of year 1", 0.01, 0.0, 0.04, "KIET"),
    Fact(
        "median exports, US$ 1,000",
        48.0,
        40.0,
        58.0,
        "lognormal fit to customs data",
    ),
    Fact(
        "sd of log exports",
        2.9,
        2.7,
        3.1,
        "lognormal fit to customs data",
    ),
    Fact("exporters of US$ 10 m or more", 0.033, 0.025, 0.042, KOSTAT_2019),
    Fact("exporters of US$ 100 m or more", 0.0044, 0.002, 0.008, KOSTAT_2019),
    Fact("share of value beyond US$ 10 m", 0.91, 0.83, 0.96, KOSTAT_2019),
    Fact("mean below US$ 10 m, US$ m", 0.48, 0.38, 0.60, KOSTAT_2019),
    Fact("exporters with one destination", 0.57, 0.50, 0.70, "most serve one market"),
    Fact("end of spells, 2 markets over 1", 0.5, 0.40, 0.60, "Uruguay: -50 %"),
    Fact("end of spells, 3 markets over 1", 0.3, 0.20, 0.40, "Uruguay: -70 %"),
    Fact("firms of 5-19 employees", 0.6866, 0.67, 0.71, FIT),
    Fact("firms of 20-99 employees", 0.2551, 0.24, 0.27, FIT),
    Fact("firms of 100-299 employees", 0.0436, 0.035, 0.052, FIT),
    Fact("firms of 300 or more", 0.0146, 0.011, 0.019, FIT),
    Fact("jobs in firms of 5-19", 0.168, 0.14, 0.20, TABLE_22),
    Fact("jobs in firms of 20-99", 0.315, 0.26, 0.35, TABLE_22),
    Fact("jobs in firms of 100-299", 0.175, 0.14, 0.23, TABLE_22),
    Fact("jobs in firms of 300 or more", 0.342, 0.27, 0.41, TABLE_22),
    Fact("value added per head, 5-19 over 300+", 0.324, 0.26, 0.39, TABLE_22),
    Fact("value added per head, 20-99 over 300+", 0.442, 0.37, 0.52, TABLE_22),
    Fact("value added per head, 100-299 over 300+", 0.662, 0.55, 0.75, TABLE_22),
    Fact("elasticity of value added per head", 0.252, 0.23, 0.27, f"{TABLE_22}, derived"),
    Fact("voucher: awarded of applicants, 2017", 0.377, 0.370, 0.384, "2,270 of 6,026 (ajunews)"),
    Fact("voucher: awarded in the year before too", 0.211, 0.15, 0.27, "newsnjeju 2019-10-21"),
    Fact("voucher: largest award, KRW m", 100.0, 95.0, 100.0, "caps of 30 to 100 (ksilbo 2019)"),
)


def participation(truth) -> dict[str, float]:
    """Spells of exporting, without support."""
    exports = truth.outcomes["exports"].without_support / USD
    on = exports > 0
    new = on[:, 1] & ~on[:, 0]
    alive = [on[new][:, 1 : 2 + k].all(axis=1).mean() for k in range(6)]
    long = np.array([on[:, t - 4 : t + 1].all(axis=1) for t in range(5, 10)]).T
    late, was = on[:, 5:], on[:, 4:-1]
    value = exports[:, 5:]
    return {
        "share of firms that export": on[truth.outcomes["operating"].without_support > 0].mean(),
        "new exporters alive after 1 year": alive[1],
        "new exporters alive after 3 years": alive[3],
        "new exporters alive after 5 years": alive[5],
        "yearly survival, years 2 and 3": (alive[3] / alive[1]) ** 0.5,
        "yearly survival, years 4 and 5": (alive[5] / alive[3]) ** 0.5,
        "entrants among exporters": (late & ~was).sum() / late.sum(),
        "exporters that stop": (was & ~late).sum() / was.sum(),
        "exporters for 5 years or more": long.sum() / late.sum(),
        "their share of value": value[long].sum() / value.sum(),
        "share of value of year 1": value[late & ~was].sum() / value.sum(),
    }


def money(truth) -> dict[str, float]:
    """How much exporters export, and to how many destinations."""
    exports = truth.outcomes["exports"].without_support / USD
    some = exports[exports > 0]
    large = some >= 10
    places = truth.outcomes["destinations"].without_support
    stop = [
        1 - (exports[:, 1:] > 0)[at].mean()
        for at in (places[:, :-1] == 1, places[:, :-1] == 2, places[:, :-1] >= 3)
    ]
    return {
        "median exports, US$ 1,000": 1000 * np.median(some),
        "sd of log exports": np.log(some).std(),
        "exporters of US$ 10 m or more": large.mean(),
        "exporters of US$ 100 m or more": (some >= 100).mean(),
        "share of value beyond US$ 10 m": some[large].sum() / some.sum(),
        "mean below US$ 10 m, US$ m": some[~large].mean(),
        "exporters with one destination": (places[places > 0] == 1).mean(),
        "end of spells, 2 markets over 1": stop[1] / stop[0],
        "end of spells, 3 markets over 1": stop[2] / stop[0],
    }


def structure(bench) -> dict[str, float]:
    """Sizes and productivity of firms in the first year; value added is a share of home sales."""
    first = bench.frame.drop_duplicates("firm_id")
    jobs = first["first_employees"].to_numpy()
    group = np.searchsorted([20, 100, 300], jobs, side="right")
    firms, people = np.bincount(group) / jobs.size, np.bincount(group, jobs) / jobs.sum()
    per_head = (first["sales"] - first["exports"]).to_numpy() / jobs
    seen = np.isfinite(per_head)
    added = np.bincount(group[seen], (per_head * jobs)[seen]) / np.bincount(group[seen], jobs[seen])
    names = ("5-19", "20-99", "100-299", "300 or more")
    slope = np.polyfit(np.log(jobs[seen]), np.log(per_head[seen]), 1)[0]
    return {
        **{
            f"firms of {n}{'' if 'more' in n else ' employees'}": x
            for n, x in zip(names, firms, strict=True)
        },
        **{f"jobs in firms of {n}": x for n, x in zip(names, people, strict=True)},
        **{
            f"value added per head, {n} over 300+": x / added[3]
            for n, x in zip(names[:3], added[:3], strict=True)
        },
        "elasticity of value added per head": slope,
    }


def vouchers(bench) -> dict[str, float]:
    """Calls of the voucher."""
    calls = bench.spells[bench.spells.programme == "voucher"]
    awarded = calls[calls.awarded]
    winners = [set(firms) for _, firms in awarded.groupby("award_year").firm_id]
    again = [len(now & before) / len(now) for before, now in pairwise(winners)]
    return {
        "voucher: awarded of applicants, 2017": calls.awarded[calls.award_year == 2017].mean(),
        "voucher: awarded in the year before too": float(np.mean(again)),
        "voucher: largest award, KRW m": awarded.amount.max(),
    }


@pytest.fixture(scope="module")
def moments() -> dict[str, float]:
    bench = scenario("export_world").draw(n_firms=50_000, n_periods=10, seed=1)
    return {
        **participation(bench.truth),
        **money(bench.truth),
        **structure(bench),
        **vouchers(bench),
    }


def test_generated_moments_are_in_their_bands(moments):
    assert len(FACTS) >= 20
    assert moments.keys() == {fact.name for fact in FACTS}
    lines = [f"{'fact':42s} {'target':>8} {'moment':>8}  band"]
    outside = []
    for fact in FACTS:
        moment = moments[fact.name]
        line = f"{fact.name:42s} {fact.target:8.3f} {moment:8.3f}  {fact.low}-{fact.high}"
        lines.append(f"{line}  {fact.source}")
        if not fact.low <= moment <= fact.high:
            outside.append(line)
    print("\n".join(lines))
    assert not outside, "\n".join(outside)
