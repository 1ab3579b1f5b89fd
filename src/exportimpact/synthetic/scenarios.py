"""The scenarios that exist, and the two functions that find them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from exportimpact.errors import InputError, did_you_mean
from exportimpact.synthetic.bench import Scenario
from exportimpact.synthetic.export_world import ExportWorld
from exportimpact.synthetic.presets import PRESETS
from exportimpact.synthetic.promises import EVERYTHING, GIVEN, SIZES
from exportimpact.synthetic.roster_effects import EFFECT_SCENARIOS
from exportimpact.synthetic.roster_reports import REPORT_SCENARIOS
from exportimpact.synthetic.roster_selection import SELECTION_SCENARIOS
from exportimpact.synthetic.voucher import draw_voucher

_VOUCHER_FAILS = frozenset(
    {
        "parallel_trends",
        "parallel_growth",
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
    holds=EVERYTHING
    - _VOUCHER_FAILS
    - {"parallel_growth_given_x", "outcome_model", "propensity_model"},
    fails=_VOUCHER_FAILS,
    presets=SIZES,
    sources=(
        "exports: Korean customs and trade statistics (median US$ 48,000; half "
        "of new exporters gone after a year) and 8.3 (yearly shocks sd 0.8, persistence 0.5)",
        "state dependence 0.36: Bernard and Jensen (2004), as recalled and not checked again",
        "2,270 of 6,026 applicants selected: ajunews 2023-04-02",
        "698 of 3,305 firms repeat: newsnjeju 2019-10-21; at most two awards: jblp.kr notice",
        "caps of 30 to 100 KRW m by tier of prior exports: ksilbo 2019, itbiznews 2023",
    ),
    generate=draw_voucher,
    n_firms=3000,
    size=3000,
    options=(("outcome", "exporting"), ("covariates", ("size", "stage"))),
)

_WORLD_FAILS = frozenset(
    {
        "parallel_trends",
        "parallel_growth",
        "unconfoundedness",
        "typical_firms_comparable",
        "homogeneous_effects",
        "strict_exogeneity",
        "mean_stationarity",
        "no_dominant_firm",
        "missing_at_random",
        "independent_clusters",
    }
)
_WORLD = Scenario(
    name="export_world",
    title="Korean firms of all sizes, half of them exporting, under three programmes",
    story=(
        "Spells of exporting begin and end, a few firms export most, crises come, firms close.\n"
        "From 2017 firms apply for vouchers, scored on size, stage and last year's growth; others\n"
        "go to fairs or learn to export. Nothing is clean: the truth is known for these firms."
    ),
    holds=EVERYTHING - _WORLD_FAILS - GIVEN - {"outcome_model", "propensity_model"},
    fails=_WORLD_FAILS,
    presets=("meta_mid", *(name for name in PRESETS if name != "meta_mid")),
    sources=(
        "every size: tests/calibration/test_calibration_facts.py, with its source",
        "rules, caps and rates: Korean support, export voucher 2017-2023",
    ),
    generate=ExportWorld().generate,
    n_firms=5000,
    size=3000,
    options=(("outcome", "exporting"), ("covariates", ("first_employees", "stage"))),
)

_SCENARIOS: Mapping[str, Scenario] = MappingProxyType(
    {
        s.name: s
        for s in (*SELECTION_SCENARIOS, *EFFECT_SCENARIOS, *REPORT_SCENARIOS, _VOUCHER, _WORLD)
    }
)


def scenarios() -> tuple[str, ...]:
    """Return the names of the scenarios.

    Examples
    --------
    >>> scenarios()[:2]
    ('random_rollout', 'selection_on_trends')
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
