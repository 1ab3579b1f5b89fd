"""Scenarios about what support does: over time, to whom, to others, and to how much money."""

from __future__ import annotations

from exportimpact.synthetic.bench import Scenario
from exportimpact.synthetic.effects import Effect
from exportimpact.synthetic.interference import Displacement, Substitute
from exportimpact.synthetic.linear import LinearWorld, Trend
from exportimpact.synthetic.promises import CLEAN, EVERYTHING, OTHERS, SIZES
from exportimpact.synthetic.selection import ByOdds
from exportimpact.synthetic.tails import HeavyTails

_SHARES = (0.15, 0.15, 0.15)
_ALIKE = frozenset({"homogeneous_effects"})
_LOT = ByOdds(shares=_SHARES)

DYNAMIC = Scenario(
    name="staggered_dynamic",
    title="effects grow year by year and are larger for early cohorts",
    story=(
        "Firms start by lot in one of three years; a quarter never starts.\n"
        "The effect grows yearly, is largest for the first cohort, and differs among firms.\n"
        "Two-way fixed effects compares late starters with early ones and finds half of it."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=SIZES,
    sources=(
        *CLEAN,
        "effects that grow with time: Goodman-Bacon (2021), doi:10.1016/j.jeconom.2021.03.014",
    ),
    violation="homogeneous_effects",
    generate=LinearWorld(
        selection=ByOdds(shares=(0.25, 0.25, 0.25)),
        effect=Effect(strength=(1.5, 1.0, 0.5), path="growing", spread=0.5),
    ).generate,
)

COHORT_SIZES = Scenario(
    name="cohort_sizes",
    title="large cohorts gain little: the aggregations differ",
    story=(
        "The programme starts with many firms and ends with a chosen few, drawn by lot.\n"
        "The effect is half as large in the first cohort, and twice as large in the last.\n"
        "Averages over firms, cohorts, event times and years are four different numbers."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=SIZES,
    sources=(
        *CLEAN,
        "aggregations: Callaway & Sant'Anna (2021), doi:10.1016/j.jeconom.2020.12.001",
    ),
    violation="homogeneous_effects",
    generate=LinearWorld(
        selection=ByOdds(shares=(0.30, 0.15, 0.08)), effect=Effect(strength=(0.5, 1.0, 2.0))
    ).generate,
)

NULL = Scenario(
    name="null_effect",
    title="support starts by lot, and does nothing",
    story=(
        "Firms are drawn by lot to start support in one of three years, or never.\n"
        "Support changes nothing for anyone.\n"
        "An honest method finds an effect in one of twenty draws."
    ),
    holds=EVERYTHING,
    presets=("null",),
    sources=CLEAN,
    generate=LinearWorld(selection=_LOT).generate,
)

_WAITING = OTHERS | {"no_anticipation", "strict_exogeneity"}
ANTICIPATION = Scenario(
    name="anticipation",
    title="firms put off exports in the year before support",
    story=(
        "Firms know a year ahead that a voucher will come, and wait for it with shipments.\n"
        "Exports fall by a quarter in the year before support, and are as usual after.\n"
        "Measured from that year, the programme gains what it had put off."
    ),
    holds=EVERYTHING - _WAITING,
    fails=_WAITING,
    presets=SIZES,
    sources=(*CLEAN, "time between selection and start: Korean support, hazard 14"),
    violation="no_anticipation",
    generate=LinearWorld(selection=_LOT, effect=Effect(hold_back=0.25)).generate,
)

SLEEPER = Scenario(
    name="sleeper",
    title="nothing for two years, then an effect that grows until the fourth",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "Advice takes two years to show in exports, and four to show in full.\n"
        "An evaluation after one year ends a programme that works."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=("sleeper",),
    sources=(*CLEAN, "Allerup (2010)"),
    violation="homogeneous_effects",
    generate=LinearWorld(selection=_LOT, effect=Effect(path="preset")).generate,
)

FADING = Scenario(
    name="fading",
    title="an effect that peaks after one year and is gone after three",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "Support opens doors that close again: the effect peaks in year 1, and is 0 from year 3.\n"
        "One average over all years hides both the peak and the end."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=("famex_fade",),
    sources=(*CLEAN, "Cadot, Fernandes, Gourdon & Mattoo (2015)"),
    violation="homogeneous_effects",
    generate=LinearWorld(selection=_LOT, effect=Effect(path="preset")).generate,
)

BY_SIZE = Scenario(
    name="effect_by_size",
    title="small firms gain most",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "The effect falls with the number of employees, and is about nil for the largest.\n"
        "The average is right for nobody; segments by class of size show it."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=SIZES,
    sources=(*CLEAN, "KITA (2025): small +12.7 %, medium +4.3 %, mid-sized +2.3 %"),
    violation="homogeneous_effects",
    generate=LinearWorld(selection=_LOT, effect=Effect(by_size=-0.5)).generate,
)

ON_OFF = Scenario(
    name="on_off_support",
    title="support ends after two years, and starts again two years later",
    story=(
        "Firms start by lot; support lasts two years, pauses for two, and begins again.\n"
        "A quarter of the effect is left in the years between.\n"
        "The effect is that of having started, with all that follows."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=SIZES,
    sources=(
        *CLEAN,
        "repeat use by rule: Korean support, hazard 6; 21 % of voucher firms repeat",
    ),
    violation="homogeneous_effects",
    generate=LinearWorld(selection=_LOT, effect=Effect(path="on_off")).generate,
)

_START = frozenset({"mean_stationarity"})
PERSISTENCE = Scenario(
    name="persistence",
    title="shocks fade slowly, the panel is short, and firms start away from where they end",
    story=(
        "Nine tenths of a shock are left a year later, and there are six years.\n"
        "Better firms begin further below their own level, and are still climbing.\n"
        "Support is by lot: differences are right; instruments from past changes are not."
    ),
    holds=EVERYTHING - _START - OTHERS,
    fails=_START | OTHERS,
    presets=SIZES,
    sources=(*CLEAN, "Blundell & Bond (1998), doi:10.1016/S0304-4076(98)00009-8"),
    violation="mean_stationarity",
    n_periods=6,
    generate=LinearWorld(selection=_LOT, trend=Trend(persistence=0.9, gap=0.5)).generate,
)

_ALONE = frozenset({"no_interference"})
DISPLACEMENT = Scenario(
    name="displacement",
    title="supported firms take orders from rivals of their industry and region",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "The more rivals of an industry and region are supported, the more a firm without loses.\n"
        "Compared with losers, supported firms seem to gain more than they do."
    ),
    holds=EVERYTHING - _ALONE - OTHERS,
    fails=_ALONE | OTHERS,
    presets=SIZES,
    sources=(*CLEAN, "business stealing: a known confounder"),
    violation="no_interference",
    size=1000,
    generate=LinearWorld(selection=_LOT, interference=Displacement(loss=1.0)).generate,
)

OVERLAPPING = Scenario(
    name="overlapping_programmes",
    title="comparison firms are supported by the neighbour programme",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "Most of the never supported get another programme instead, which does more for them.\n"
        'Compared with them the programme seems to do little; set others="drop_comparison".'
    ),
    holds=EVERYTHING - _ALONE - OTHERS,
    fails=_ALONE | OTHERS,
    presets=SIZES,
    sources=(
        *CLEAN,
        "of 32 kinds of support at six agencies only ten were not duplicated: Korean support, 205",
    ),
    size=800,
    violation="no_interference",
    generate=LinearWorld(selection=_LOT, interference=Substitute(chance=0.6, effect=0.7)).generate,
)

_TAILS = "median US$ 48,000, sd of logs 2.9, Pareto tail: Korean customs statistics"
_MONEY = ("meta_mid", "null", "meta_low", "korea_kita")
_DOMINANT = frozenset({"no_dominant_firm"})
TAILS = Scenario(
    name="heavy_tails",
    title="exports in money, with a few firms that export as much as all others",
    story=(
        "Firms start by lot in one of three years, or never; the effect is a share of exports.\n"
        "Exports have the tail of all Korean exporters: some percent of firms, most of the value.\n"
        "No interval for a mean works here (coverage 77 to 83 % was seen): a finding must say so."
    ),
    holds=EVERYTHING - _DOMINANT - _ALIKE - OTHERS,
    fails=_DOMINANT | _ALIKE | OTHERS,
    presets=_MONEY,
    sources=(*CLEAN, _TAILS),
    violation="no_dominant_firm",
    options=(("outcome", "exports"),),
    generate=HeavyTails(median=54.0, sd=2.9, above=None).generate,
)

TAILS_OF_SMES = Scenario(
    name="heavy_tails_sme",
    title="exports in money, cut at the size of small and medium firms",
    story=(
        "As in heavy_tails, but firms are SMEs that export regularly: neither tiny nor giant.\n"
        "The largest firm exports less than five times the mean.\n"
        "Means, and Poisson models of them, can be trusted."
    ),
    holds=EVERYTHING - _ALIKE - OTHERS,
    fails=_ALIKE | OTHERS,
    presets=_MONEY,
    sources=(*CLEAN, _TAILS),
    options=(("outcome", "exports"),),
    generate=HeavyTails(median=540.0, sd=1.0, above=4.0).generate,
)

EFFECT_SCENARIOS = (
    DYNAMIC,
    COHORT_SIZES,
    NULL,
    ANTICIPATION,
    SLEEPER,
    FADING,
    BY_SIZE,
    ON_OFF,
    PERSISTENCE,
    DISPLACEMENT,
    OVERLAPPING,
    TAILS,
    TAILS_OF_SMES,
)
