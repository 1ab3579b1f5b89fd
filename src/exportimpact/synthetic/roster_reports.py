"""Scenarios about what is seen: closures, silence, lost links, stretched reports, warm words."""

from __future__ import annotations

from exportimpact.synthetic.bench import Scenario
from exportimpact.synthetic.effects import Effect
from exportimpact.synthetic.linear import LinearWorld, Trend
from exportimpact.synthetic.promises import CLEAN, EVERYTHING, OTHERS, SIZES, TRENDS
from exportimpact.synthetic.reports import (
    Boasting,
    DisappointedLeave,
    GlowingSurvey,
    LostLinks,
    Relabelling,
    WeakFirmsClose,
)
from exportimpact.synthetic.selection import ByOdds

_LOT = ByOdds(shares=(0.15, 0.15, 0.15))
_MISSING = frozenset({"missing_at_random"})
_MOVING = frozenset({"mean_stationarity"})
_OWN = frozenset({"homogeneous_effects"})
_STRETCHED = frozenset({"same_measurement"})

SURVIVAL = Scenario(
    name="selective_survival",
    title="support keeps weak firms alive",
    story=(
        "Half start by lot; slowly growing firms may close, and support saves most of them.\n"
        "The comparison firms that are left are the strong ones.\n"
        "Among survivors support seems to harm exports; survival is a second outcome."
    ),
    holds=EVERYTHING - _MISSING - _MOVING,
    fails=_MISSING | _MOVING,
    presets=("zombie", "meta_mid", "meta_low", "korea_kita"),
    sources=(*CLEAN, "weak firms survive: KDI Focus 63 (Chang 2016)"),
    violation="missing_at_random",
    size=1500,
    generate=LinearWorld(
        selection=ByOdds(shares=(0.45,)), trend=Trend(growth=0.25), reports=(WeakFirmsClose(),)
    ).generate,
)

EXIT = Scenario(
    name="exit_with_effect",
    title="supported firms that gain little leave the panel",
    story=(
        "Firms start by lot, and gain or lose by their own amount around the mean effect.\n"
        "Those below the mean soon stop answering; satisfied firms stay.\n"
        "Among firms that still report, the programme works wonders."
    ),
    holds=EVERYTHING - _MISSING - _OWN - OTHERS,
    fails=_MISSING | _OWN | OTHERS,
    presets=("meta_mid", "meta_low", "korea_kita"),
    sources=(
        *CLEAN,
        "indicator of growing firms alone: Board of Audit 2017",
    ),
    violation="missing_at_random",
    generate=LinearWorld(
        selection=_LOT, effect=Effect(own_sd=0.5), reports=(DisappointedLeave(),)
    ).generate,
)

LINKS = Scenario(
    name="linkage_failure",
    title="awards of small firms are not found in the panel",
    story=(
        "Support is by lot, but half of the awards carry an identifier that the panel lacks.\n"
        "Small firms are lost most often, and large firms grow faster.\n"
        "The linked are the large; the lost sit among the comparison firms."
    ),
    holds=EVERYTHING - _MISSING - TRENDS - _MOVING,
    fails=_MISSING | TRENDS | _MOVING,
    presets=SIZES,
    sources=(*CLEAN, "linkage failure by size: a known confounder"),
    violation="missing_at_random",
    size=1300,
    generate=LinearWorld(selection=_LOT, trend=Trend(drift=0.1), reports=(LostLinks(),)).generate,
)

BOASTS = Scenario(
    name="misreported_exports",
    title="supported firms report more than they export",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "In their reports supported firms add a quarter; the customs office knows better.\n"
        "Estimated from reports, boasting is an effect that no test of earlier years can see."
    ),
    holds=EVERYTHING - _STRETCHED - OTHERS,
    fails=_STRETCHED | OTHERS,
    presets=SIZES,
    sources=(
        *CLEAN,
        "voluntary consultation values against customs: Board of Audit",
    ),
    violation="same_measurement",
    options=(("outcome", "ln_exports_reported"),),
    generate=LinearWorld(selection=_LOT, reports=(Boasting(),)).generate,
)

RELABELLED = Scenario(
    name="relabelled_exports",
    title="indirect exports become direct ones, and nothing more is sold",
    story=(
        "Firms start by lot in one of three years, or never.\n"
        "Supported firms sell in their own name what a trading house sold for them before.\n"
        "Direct exports rise by half, all exports by nothing: both truths are right."
    ),
    holds=EVERYTHING,
    presets=("null",),
    sources=(*CLEAN, "indirect exports, KRW 82.7 tn by SMEs in 2015: KITA"),
    generate=LinearWorld(selection=_LOT, reports=(Relabelling(),)).generate,
)

SURVEY = Scenario(
    name="glowing_survey",
    title="firms are delighted, and nothing has happened",
    story=(
        "Firms start by lot; support changes nothing for anyone.\n"
        "Asked a year later, four in five say that it helped, by 41 % on average.\n"
        "bench.survey has their answers."
    ),
    holds=EVERYTHING,
    presets=("null",),
    sources=(
        *CLEAN,
        "firms attribute 41 %: Scotland 2018-21",
    ),
    generate=LinearWorld(selection=_LOT, reports=(GlowingSurvey(),)).generate,
)

REPORT_SCENARIOS = (SURVIVAL, EXIT, LINKS, BOASTS, RELABELLED, SURVEY)
