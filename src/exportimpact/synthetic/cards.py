"""The card of a scenario: one page that an auditor can read."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType

from exportimpact.synthetic.bench import Scenario
from exportimpact.synthetic.oracle import violation_p_value
from exportimpact.synthetic.presets import PRESETS

_DRAWS, _YEARS = 40, 8
_ALWAYS = frozenset({"no_interference", "same_measurement", "missing_at_random"})
_FAMILIES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "Supported against typical firms (step IV)": frozenset({"typical_firms_comparable"}),
        "Supported against matched firms, in levels (V-a)": frozenset(
            {"unconfoundedness", "overlap"}
        ),
        "Difference-in-differences without covariates (V-b)": frozenset(
            {"parallel_trends", "no_anticipation"}
        ),
        "Difference-in-differences given covariates, matched or weighted (V-b)": frozenset(
            {"parallel_trends_given_x", "no_anticipation", "overlap"}
        ),
        "Two-way fixed effects": frozenset(
            {"parallel_trends", "no_anticipation", "homogeneous_effects", "strict_exogeneity"}
        ),
        "Dynamic panel with instruments from past changes": frozenset(
            {"no_anticipation", "mean_stationarity", "homogeneous_effects"}
        ),
        "Means of money": frozenset({"parallel_trends", "no_anticipation", "no_dominant_firm"}),
        "Poisson models of money": frozenset(
            {"parallel_growth", "no_anticipation", "no_dominant_firm"}
        ),
    }
)
_FORMULAS: Mapping[str, str] = MappingProxyType(
    {
        "LinearWorld": (
            "effect(cohort g, year t) = strength(g) x size of the preset x path(t - g) x "
            "(1 + by_size x mean z of the cohort), less hold_back in the year before g, and less "
            "the losses to supported rivals before g. In a draw it is the mean over the firms of "
            "the cohort of outcome with support less outcome without; in the population, the "
            "expectation, a finite sum over numbers of employees."
        ),
        "HeavyTails": (
            "level: effect(t) = (exp(size of the preset) - 1) x mean size x 1.03^t; log: size of "
            "the preset; ratio of means: exp(size) - 1."
        ),
        "Beginners": "effect on the chance to export = participation of the preset, in every year.",
        "ExportWorld": (
            "outcome in the history with the programme less outcome in the history without it, "
            "for these very firms, with the same luck; there is no closed form."
        ),
        "voucher": (
            "outcome with vouchers less outcome without, for these very firms, with the same "
            "shocks; log exports: size of the preset among firms that export either way."
        ),
    }
)


def write_card(scenario: Scenario) -> str:
    """Return the card of a scenario, in Markdown.

    Parameters
    ----------
    scenario : Scenario

    Returns
    -------
    str
        Story, assumptions, parameters and their sources, formula of the truth, how the violation
        was sized, and what is expected of each family of estimators.
    """
    world = getattr(scenario.generate, "__self__", None)
    kind = type(world).__name__ if world is not None else "voucher"
    module = sys.modules[type(world).__module__ if world else scenario.generate.__module__]
    parts = [
        f"# {scenario.name}: {scenario.title}",
        scenario.story,
        "## Assumptions",
        f"Breaks on purpose: {scenario.violation or 'nothing'}.\n\n"
        f"Fails: {_listed(scenario.fails)}.\n\nHolds: {_listed(scenario.holds)}.\n\n"
        f"Holds only about: {_listed(scenario.approximate)}.",
        "## How the panel comes about",
        inspect.cleandoc(module.__doc__ or ""),
        "## Parameters",
        "| parameter | value |\n|---|---|\n" + "\n".join(_rows(scenario, world)),
        "Sizes of effects:\n\n" + "\n".join(_presets(scenario)),
        "Sources:\n\n" + "\n".join(f"- {source}" for source in scenario.sources),
        "## Truth",
        _FORMULAS[kind],
        "## How the violation was sized",
        _sizing(scenario),
        "## What is expected of estimators",
        f"With the design {scenario.design_options}:",
        "| family | expected |\n|---|---|\n" + "\n".join(_expected(scenario)),
    ]
    return "\n\n".join(parts) + "\n"


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _rows(scenario: Scenario, world: object) -> Iterator[str]:
    yield f"| firms, years | {scenario.n_firms:,}, {scenario.n_periods} by default |"
    if is_dataclass(world):
        yield from _of_spec("", world)


def _of_spec(prefix: str, spec: object) -> Iterator[str]:
    """Rows of a frozen specification and of those inside it."""
    for entry in fields(spec):  # type: ignore[arg-type]
        value = getattr(spec, entry.name)
        items = value if isinstance(value, tuple) else (value,)
        if any(is_dataclass(item) for item in items):
            for item in items:
                name = f"{prefix}{entry.name}: {type(item).__name__}"
                yield f"| {name} | |" if not fields(item) else f"| {name} | as below |"
                yield from _of_spec(f"{prefix}{entry.name}.", item)
        else:
            yield f"| {prefix}{entry.name} | {value} |"


def _presets(scenario: Scenario) -> Iterator[str]:
    for name in scenario.presets:
        preset = PRESETS[name]
        yield f"- `{name}`: {preset.exports} on log exports; {preset.source}"


def _sizing(scenario: Scenario) -> str:
    if scenario.violation is None:
        return "Nothing is broken on purpose."
    found = 0
    for seed in range(1, _DRAWS + 1):
        bench = scenario.draw(n_firms=scenario.size, n_periods=_YEARS, seed=seed)
        found += violation_p_value(bench) < 0.05
    return (
        f"A test that knows the truth rejects at 5 % that {scenario.violation} holds in {found} "
        f"of {_DRAWS} draws with {scenario.size:,} firms and {_YEARS} years (seeds 1 to "
        f"{_DRAWS}); at least 95 % is asked."
    )


def _expected(scenario: Scenario) -> Iterator[str]:
    money = scenario.design_options["outcome"] == "exports"
    for family, needs in _FAMILIES.items():
        if family.endswith("of money") and not money:
            continue
        required = needs | _ALWAYS
        missing = required & scenario.fails
        doubtful = required & scenario.approximate
        if missing:
            verdict = f"refuses, is flagged, or is declared blind: {_listed(missing)} fails"
        elif doubtful:
            verdict = f"nothing is promised: {_listed(doubtful)} holds only about"
        else:
            verdict = "right: bias, coverage and size inside their bands"
        yield f"| {family} | {verdict} |"
