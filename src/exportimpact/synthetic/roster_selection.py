"""Scenarios about who is supported: by lot, by size, by what nobody sees, by score, by region."""

from __future__ import annotations

from exportimpact.synthetic.beginners import Beginners
from exportimpact.synthetic.bench import Scenario
from exportimpact.synthetic.effects import Effect
from exportimpact.synthetic.linear import LinearWorld, Trend
from exportimpact.synthetic.promises import (
    CLEAN,
    EVERYTHING,
    GIVEN,
    LEVELS,
    OTHERS,
    SIZES,
    TRENDS,
    TRENDS_BY_SIZE,
)
from exportimpact.synthetic.reports import PastExports
from exportimpact.synthetic.selection import (
    BelowCutoff,
    ByIndex,
    ByOdds,
    ByRegion,
    ByScore,
    Exactly,
)

_SHARES = (0.15, 0.15, 0.15)
_PERSISTENT = frozenset({"mean_stationarity"})
_SCORED = "Lee et al. (2008): firms select themselves before the agency selects"

BY_CHANCE = Scenario(
    name="random_rollout",
    title="support starts by lot, and does the same for everyone",
    story=(
        "Firms are drawn by lot to start support in one of three years, or never.\n"
        "Support raises exports by the same share for every firm, from its first year on.\n"
        "Nothing else differs between supported firms and others."
    ),
    holds=EVERYTHING - OTHERS,
    fails=OTHERS,
    presets=SIZES,
    sources=CLEAN,
    generate=LinearWorld(selection=ByOdds(shares=_SHARES)).generate,
)

ON_TRENDS = Scenario(
    name="selection_on_trends",
    title="larger firms are supported more often, and grow faster anyway",
    story=(
        "The log odds of support rise with employees, and so does export growth.\n"
        "Among firms with equally many employees support is by lot, and trends are parallel.\n"
        "Without the covariate the programme takes credit for the growth of larger firms."
    ),
    holds=EVERYTHING - TRENDS_BY_SIZE,
    fails=TRENDS_BY_SIZE,
    presets=SIZES,
    sources=CLEAN,
    violation="parallel_trends",
    size=800,
    options=(("covariates", ("employees",)),),
    generate=LinearWorld(
        selection=ByOdds(shares=(0.12, 0.12, 0.12), slope=0.7), trend=Trend(drift=0.1)
    ).generate,
)

ON_LEVEL = Scenario(
    name="selection_on_level",
    title="firms that export much anyway are supported more often",
    story=(
        "The agency knows how good a firm is, and picks the good ones; no column shows it.\n"
        "Good firms export more in every year, but grow no faster: trends are parallel.\n"
        "Comparing levels, even among alike firms, credits the programme with the difference."
    ),
    holds=EVERYTHING - LEVELS,
    fails=LEVELS,
    presets=SIZES,
    sources=CLEAN,
    violation="unconfoundedness",
    generate=LinearWorld(selection=ByIndex(shares=_SHARES, level=0.6)).generate,
)

MATCHING_TRAP = Scenario(
    name="matching_trap",
    title="matching on past exports breaks trends that were parallel",
    story=(
        "As in selection_on_level: good firms are picked, and trends are exactly parallel.\n"
        "Comparison firms with equal past exports had a lucky year, and fall back after it.\n"
        "Matching on the lagged outcome and then differencing invents an effect."
    ),
    holds=EVERYTHING - LEVELS - GIVEN,
    fails=LEVELS | GIVEN,
    presets=SIZES,
    sources=(
        *CLEAN,
        "the trap: Daw & Hatfield (2018), doi:10.1111/1475-6773.12993",
    ),
    violation="parallel_trends_given_x",
    options=(("covariates", ("past_exports",)),),
    generate=LinearWorld(
        selection=ByIndex(shares=_SHARES, level=0.7), reports=(PastExports(),)
    ).generate,
)

PICKING_WINNERS = Scenario(
    name="picking_winners",
    title="the agency picks firms that are about to grow",
    story=(
        "Firms differ in growth that nobody records; the committee senses it, and picks growers.\n"
        "Supported firms draw away from others in every year, before support as well as after.\n"
        "Trends are not parallel, and no covariate makes them so."
    ),
    holds=EVERYTHING - TRENDS - _PERSISTENT,
    fails=TRENDS | _PERSISTENT,
    presets=SIZES,
    sources=(*CLEAN, "picking winners: a known confounder"),
    violation="parallel_trends",
    generate=LinearWorld(
        selection=ByIndex(shares=_SHARES, growth=0.7), trend=Trend(growth=0.12)
    ).generate,
)

DIP = Scenario(
    name="ashenfelter_dip",
    title="firms ask for support after a bad year, and would have recovered anyway",
    story=(
        "A firm with a bad year is more likely to be supported in the next.\n"
        "Bad luck fades within two years with or without support.\n"
        "Measured from the bad year, recovery looks like an effect."
    ),
    holds=EVERYTHING - TRENDS,
    fails=TRENDS,
    presets=SIZES,
    sources=(*CLEAN, "the dip: Ashenfelter (1978), doi:10.2307/1924332"),
    violation="parallel_trends",
    generate=LinearWorld(selection=ByIndex(shares=_SHARES, bad_year=0.7)).generate,
)

_SCORE_STORY = (
    "Firms that grow faster apply; among applicants the agency awards by a score of luck.\n"
    "Rejected applicants grow as fast as awarded ones; firms that never applied do not.\n"
)
_APPLICANTS = LinearWorld(
    selection=ByScore(shares=(0.1, 0.1, 0.1), growth=0.8), trend=Trend(growth=0.15)
)
_APPLIED = frozenset({"mean_stationarity", "strict_exogeneity", "typical_firms_comparable"})

TWO_LAYERS = Scenario(
    name="two_layer_selection",
    title="firms apply, the agency awards by score; rejected applicants are the comparison",
    story=_SCORE_STORY + "Compared with rejected applicants of the same round, trends are alike.",
    holds=EVERYTHING - _APPLIED,
    fails=_APPLIED,
    presets=SIZES,
    sources=(*CLEAN, _SCORED),
    violation="typical_firms_comparable",
    size=1400,
    options=(("comparison", "rejected"),),
    generate=_APPLICANTS.generate,
)

MOTIVATED = Scenario(
    name="motivated_applicants",
    title="two layers of selection, compared with firms that never applied",
    story=_SCORE_STORY + "Compared with all never supported firms, the wish to grow is an effect.",
    holds=EVERYTHING - TRENDS - _PERSISTENT,
    fails=TRENDS | _PERSISTENT,
    presets=SIZES,
    sources=(*CLEAN, _SCORED),
    violation="parallel_trends",
    size=1200,
    options=(("comparison", "never"),),
    generate=_APPLICANTS.generate,
)

_NO_OVERLAP = TRENDS_BY_SIZE | {"overlap", "propensity_model"}
CUTOFF = Scenario(
    name="eligibility_cutoff",
    title="every firm with at most 80 employees is supported, no larger one is",
    story=(
        "Eligibility ends at 80 employees, and all eligible firms are supported in 3 years.\n"
        "Larger firms grow faster, in a straight line of employees.\n"
        "No comparison firm is like a supported one: weights do not exist, a line is continued."
    ),
    holds=EVERYTHING - _NO_OVERLAP,
    fails=_NO_OVERLAP,
    presets=SIZES,
    sources=(*CLEAN, "cut-offs: export-stage tiers of the Korean voucher"),
    violation="overlap",
    options=(("covariates", ("employees",)),),
    generate=LinearWorld(
        selection=BelowCutoff(shares=(0.3, 0.3, 0.4)), trend=Trend(drift=0.06)
    ).generate,
)

SIZE_SHOCK = Scenario(
    name="size_shock",
    title="a common shock hits larger firms harder, in the year when support starts",
    story=(
        "Before support trends are parallel, so that no test of earlier years finds anything.\n"
        "With the first awards a boom sets in that lifts large firms more than small ones.\n"
        "Larger firms are supported more often; without the covariate the boom is an effect."
    ),
    holds=EVERYTHING - TRENDS_BY_SIZE,
    fails=TRENDS_BY_SIZE,
    presets=SIZES,
    sources=(*CLEAN, "shock years 1998, 2004 and 2008: IBK economic research"),
    violation="parallel_trends",
    options=(("covariates", ("employees",)),),
    generate=LinearWorld(
        selection=ByOdds(shares=(0.4,), slope=0.7), trend=Trend(shock=0.3)
    ).generate,
)

_BY_REGION = ByRegion(shares=(3 / 17, 3 / 17, 2 / 17))
_REGION_STORY = (
    "Eight of 17 regions, drawn by lot, start a programme for all of their firms in 3 years.\n"
    "Firms of a region share shocks that do not fade.\n"
)
_MOVING = frozenset({"mean_stationarity"})

REGIONS_17 = Scenario(
    name="regions_17",
    title="assignment by region, 17 regions, declared as clusters",
    story=_REGION_STORY + "With regions as clusters there are 17 observations, not hundreds.",
    holds=EVERYTHING - _MOVING - OTHERS,
    fails=_MOVING | OTHERS,
    presets=SIZES,
    sources=(*CLEAN, "17 provinces and metropolitan cities run their own programmes (KOSIS)"),
    options=(("assigned_at", "region"),),
    generate=LinearWorld(
        selection=_BY_REGION, trend=Trend(regional=0.1), even_regions=True, clustered=True
    ).generate,
)

REGIONS_IGNORED = Scenario(
    name="regions_ignored",
    title="assignment by region, with firms taken for independent",
    story=_REGION_STORY + "Taken for independent, firms make intervals far too narrow.",
    holds=EVERYTHING - _MOVING - OTHERS - {"independent_clusters"},
    fails=_MOVING | OTHERS | {"independent_clusters"},
    presets=SIZES,
    sources=(*CLEAN, "Bertrand, Duflo & Mullainathan (2004), doi:10.1162/003355304772839588"),
    violation="independent_clusters",
    options=(("assigned_at", "region"),),
    generate=LinearWorld(
        selection=_BY_REGION, trend=Trend(regional=0.1), even_regions=True
    ).generate,
)

NINETEEN = Scenario(
    name="nineteen_supported",
    title="19 supported firms",
    story=(
        "19 firms go to a retail fair abroad, in one year, drawn by lot.\n"
        "All others serve as comparison.\n"
        "Everything holds, but an interval must know that it rests on 19 firms."
    ),
    holds=EVERYTHING,
    presets=SIZES,
    sources=(*CLEAN, "19 firms: Lotte Weihai fair, Aug-Sep 2014"),
    generate=LinearWorld(selection=Exactly(), effect=Effect(strength=(1.0,))).generate,
)

_UNSEEN = TRENDS | {"mean_stationarity", "homogeneous_effects"}
BEGINNERS = Scenario(
    name="zero_export_beginners",
    title="only firms that never exported are eligible: flat before, by rule",
    story=(
        "A firm may apply only if it has never exported; no firm of the panel has.\n"
        "Ambitious firms apply more often, and would have started to export sooner anyway.\n"
        "Before support all are at zero: the test of earlier years passes, and proves nothing."
    ),
    holds=EVERYTHING - _UNSEEN,
    fails=_UNSEEN,
    presets=("meta_mid", "null", "meta_low"),
    sources=(*CLEAN, "programmes for firms without export history: Korean support, B.11 and B.13"),
    violation="parallel_trends",
    options=(("outcome", "exporting"),),
    generate=Beginners().generate,
)

SELECTION_SCENARIOS = (
    BY_CHANCE,
    ON_TRENDS,
    ON_LEVEL,
    MATCHING_TRAP,
    PICKING_WINNERS,
    DIP,
    TWO_LAYERS,
    MOTIVATED,
    CUTOFF,
    SIZE_SHOCK,
    REGIONS_17,
    REGIONS_IGNORED,
    NINETEEN,
    BEGINNERS,
)
