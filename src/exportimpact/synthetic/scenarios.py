"""The scenarios that exist, and the two functions that find them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exportimpact.errors import InputError, did_you_mean
from exportimpact.synthetic.bench import Scenario
from exportimpact.synthetic.rollout import Rollout
from exportimpact.synthetic.voucher import draw_voucher

# Named one by one: an assumption that is added later is not promised unread.
_ALL = frozenset(
    {
        "parallel_trends",
        "parallel_trends_given_x",
        "no_anticipation",
        "overlap",
        "outcome_model",
        "propensity_model",
        "unconfoundedness",
        "typical_firms_comparable",
        "no_interference",
        "homogeneous_effects",
        "strict_exogeneity",
        "mean_stationarity",
        "no_dominant_firm",
        "missing_at_random",
        "independent_clusters",
    }
)
_CLEAN = ("sizes of shocks and shares: conventions of the bench, chosen for certification",)
_SIZES = ("meta_mid", "null", "meta_low", "korea_kita")

_BY_CHANCE = Scenario(
    name="random_rollout",
    title="support starts by lot, and does the same for everyone",
    story=(
        "Firms are drawn by lot to start support in one of three years, or never.\n"
        "Support raises exports by the same share for every firm, from its first year on.\n"
        "Nothing else differs between supported firms and others."
    ),
    holds=_ALL,
    presets=_SIZES,
    sources=_CLEAN,
    generate=Rollout(shares=(0.15, 0.15, 0.15)).generate,
)

_DYNAMIC = Scenario(
    name="staggered_dynamic",
    title="effects grow year by year and are larger for early cohorts",
    story=(
        "Firms start by lot in one of three years; a quarter never starts.\n"
        "The effect grows yearly, is largest for the first cohort, and differs among firms.\n"
        "Two-way fixed effects compares late starters with early ones and finds half of it."
    ),
    holds=_ALL - {"homogeneous_effects"},
    fails=frozenset({"homogeneous_effects"}),
    presets=_SIZES,
    sources=(
        *_CLEAN,
        "effects that grow with time: Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014",
    ),
    generate=Rollout(
        shares=(0.25, 0.25, 0.25), strength=(1.5, 1.0, 0.5), growing=True, spread=0.5
    ).generate,
)

_TRENDS_FAIL = frozenset(
    {"parallel_trends", "typical_firms_comparable", "strict_exogeneity", "mean_stationarity"}
)
_TRENDS = Scenario(
    name="selection_on_trends",
    title="larger firms are supported more often, and grow faster anyway",
    story=(
        "The log odds of support rise with employees, and so does export growth.\n"
        "Among firms with equally many employees support is by lot, and trends are parallel.\n"
        "Without the covariate the programme takes credit for the growth of larger firms."
    ),
    holds=_ALL - _TRENDS_FAIL,
    fails=_TRENDS_FAIL,
    presets=_SIZES,
    sources=_CLEAN,
    generate=Rollout(shares=(0.12, 0.12, 0.12), selection=0.7, drift=0.06).generate,
)

_VOUCHER_FAILS = frozenset(
    {
        "parallel_trends",
        "typical_firms_comparable",
        "homogeneous_effects",
        "no_dominant_firm",
        "strict_exogeneity",
        "mean_stationarity",
    }
)
_VOUCHER = Scenario(
    name="voucher",
    title="a Korean export voucher: firms apply, the agency scores, half do not export",
    story=(
        "In 2017-2020 firms apply; size and first-year export stage drive who wins a voucher.\n"
        "Larger firms grow faster anyway, exports have heavy tails, and from 2020 some close.\n"
        "The first voucher raises exports and, a little, the chance to export; a second none."
    ),
    holds=_ALL - _VOUCHER_FAILS - {"outcome_model", "propensity_model"},
    fails=_VOUCHER_FAILS,
    presets=_SIZES,
    sources=(
        "exports: evidence base 8.1, Korean customs and trade statistics (median US$ 48,000; half "
        "of new exporters gone after a year) and 8.3 (yearly shocks sd 0.8, persistence 0.5)",
        "state dependence 0.36: Bernard and Jensen (2004), as recalled in evidence base 8.1",
        "2,270 of 6,026 applicants selected: ajunews 2023-04-02",
        "698 of 3,305 firms repeat: newsnjeju 2019-10-21; at most two awards: jblp.kr notice",
        "caps of 30 to 100 KRW m by tier of prior exports: ksilbo 2019, itbiznews 2023",
    ),
    generate=draw_voucher,
    n_firms=3000,
)

_SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {s.name: s for s in (_BY_CHANCE, _DYNAMIC, _TRENDS, _VOUCHER)}
)


def scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios.

    Examples
    --------
    >>> scenarios()
    ('random_rollout', 'staggered_dynamic', 'selection_on_trends', 'voucher')
    """
    return tuple(_SCENARIOS)


def scenario(name: str) -> Scenario:
    """Return the scenario of that name.

    Parameters
    ----------
    name : str
        One of `scenarios()`.

    Raises
    ------
    InputError
        EI-X01 for a name that does not exist.

    Examples
    --------
    >>> bench = scenario("random_rollout").draw(n_firms=500, seed=1)
    >>> bench.truth.cohort.shape
    (500,)
    """
    if name not in _SCENARIOS:
        raise InputError(
            "EI-X01",
            f"There is no scenario {name!r}, so that there is no panel with a known effect to "
            f"draw. {did_you_mean(name, _SCENARIOS)}",
            name=name,
        )
    return _SCENARIOS[name]
