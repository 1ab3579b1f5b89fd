"""What must not change, and what must change by exactly so much, when the data are rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from exportimpact.conformance.check import Check, Ruling, failed, held, skipped
from exportimpact.conformance.subject import Subject
from exportimpact.conformance.world import PERIOD, UNIT, Twins, World, differences
from exportimpact.core.assumption import GROWTH, TRENDS
from exportimpact.design.matching import Coarsened, Optimal, Subclass
from exportimpact.errors import CapabilityError

_FACTOR = 3.7
_YEARS = 7
_ADDITIVE = frozenset({"level", "logged"})


def checks() -> list[Check]:
    """Return the checks of the invariances."""
    demanded: list[tuple[str, Callable[[Subject], Ruling], str]] = [
        ("row_order", _row_order, "rows in another order change nothing"),
        ("relabelled_firms", _relabelled, "other firm ids change nothing"),
        ("shifted_periods", _shifted, "periods some years later move labels only"),
        ("rescaled_outcome", _rescaled, "outcome times c gives estimates and errors times c"),
        ("firm_effects", _firm_effects, "a constant added to each firm changes nothing"),
        ("period_effects", _period_effects, "a constant added to each period changes nothing"),
        ("duplicated_firms", _duplicated, "firms twice, clustered, change nothing"),
        ("weights_as_copies", _weights, "a weight of 2 is the firm twice"),
        ("irrelevant_columns", _irrelevant, "columns that the design does not name do not matter"),
        ("always_supported", _always, "firms supported before the panel begins change nothing"),
        ("exact_effect", _exact(None), "twins without noise between them give the exact effect"),
        ("zeros_count", _exact("zero"), "firms with zero exports are part of the mean"),
        ("exits_count", _exact("exit"), "firms that closed are part of the mean, with zero"),
    ]
    return [
        Check(f"invariances.{name}", "invariances", text, examine)
        for name, examine, text in demanded
    ]


def _why_copies_matter(subject: Subject) -> str:
    """Return why copies of firms change a match, in words; empty where they do not."""
    matcher = None if subject.arranged is None else subject.arranged.matcher
    if isinstance(matcher, (Coarsened, Subclass)):
        return "bins and classes depend on how many firms there are"
    ratio = getattr(matcher, "ratio", None)
    if ratio is not None and (ratio > 1 or not getattr(matcher, "replace", False)):
        return "a copy of a firm takes a place of its own in the matches"
    return ""


def _same(subject: Subject, changed: World, *, errors: bool = True) -> Ruling:
    result = changed.estimate(subject.estimator)
    return held(differences(result, subject.result, errors=errors))


def _row_order(subject: Subject) -> Ruling:
    return _same(subject, subject.home.shuffled())


def _relabelled(subject: Subject) -> Ruling:
    matching = subject.home.design.matching
    if matching is not None and isinstance(matching.matcher, Optimal):
        return skipped("several pairings may have the same total distance: ids decide")
    if matching is not None and matching.tied and not matching.shares_ties:
        return skipped("equally near firms are told apart by their ids")
    return _same(subject, subject.home.relabelled())


def _shifted(subject: Subject) -> Ruling:
    result = subject.home.shifted(_YEARS).estimate(subject.estimator)
    return held(differences(result, subject.result, periods=_YEARS))


def _rescaled(subject: Subject) -> Ruling:
    scale = subject.home.outcome.scale
    if scale not in _ADDITIVE | {"log"}:
        return skipped(f"an outcome of scale {scale!r} has no unit to change")
    result = subject.home.with_outcome(lambda y: _FACTOR * y).estimate(subject.estimator)
    factor = 1.0 if scale == "log" else _FACTOR
    return held(differences(result, subject.result, factor=factor))


def _firm_effects(subject: Subject) -> Ruling:
    if not subject.result.provenance.requires.names() & TRENDS:
        return skipped("does not rest on parallel trends, so that levels may matter")
    return _shifted_outcome(subject, UNIT)


def _period_effects(subject: Subject) -> Ruling:
    if subject.result.provenance.requires.names() & GROWTH:
        return skipped("rests on growth ratios, which a constant changes")
    return _shifted_outcome(subject, PERIOD)


def _shifted_outcome(subject: Subject, by: str) -> Ruling:
    home = subject.home
    if home.outcome.scale not in _ADDITIVE:
        return skipped(f"nothing can be added to an outcome of scale {home.outcome.scale!r}")
    values = home.frame[by].unique()
    added = pd.Series(np.random.default_rng(5).normal(0.0, 2.0, values.size), index=values)
    return _same(subject, home.with_outcome(lambda y: y + home.frame[by].map(added)))


def _duplicated(subject: Subject) -> Ruling:
    home = subject.home
    if home.cluster is not None:
        return skipped("the home scenario has clusters of its own")
    if why := _why_copies_matter(subject):
        return skipped(why)
    twice = np.full(home.frame[UNIT].nunique(), 2)
    doubled = replace(home.copied(twice), cluster="_origin")
    return _same(subject, doubled)


def _weights(subject: Subject) -> Ruling:
    if "weights" not in subject.estimator.spec.accepts:
        return skipped("weights are not accepted: see api.capabilities")
    if why := _why_copies_matter(subject):
        return skipped(why)
    home = subject.home
    copies = np.arange(home.frame[UNIT].nunique()) % 3 % 2 + 1
    weighted = home.weighted(copies).estimate(subject.estimator)
    copied = home.copied(copies).estimate(subject.estimator)
    problem = differences(weighted, copied, errors=False, tolerance=1e-6)
    if problem:
        return failed(problem)
    gap = weighted.overall("simple").estimate - copied.overall("simple").estimate
    return held(f"the overall effect differs by {gap:.3g}" if abs(gap) > 1e-6 else "")


def _irrelevant(subject: Subject) -> Ruling:
    home = subject.home
    noise = np.random.default_rng(6).normal(size=len(home.frame))
    frame = home.frame.assign(_noise=noise, _unread=noise)
    return _same(subject, replace(home, frame=frame, baseline=(*home.baseline, "_noise")))


def _always(subject: Subject) -> Ruling:
    return _same(subject, subject.home.with_early_starters(40))


def _with_size(world: World) -> World:
    """Return the world with the one covariate that twins share."""
    return replace(world, options=world.options | {"covariates": ("employees",)})


def _exact(idle: str | None) -> Callable[[Subject], Ruling]:
    def examine(subject: Subject) -> Ruling:
        twins = Twins(idle=idle)
        try:
            result = subject.at(_with_size(twins.world())).estimate(subject.estimator)
        except CapabilityError as error:
            return skipped(f"refused with {error.code}")
        if result.estimand.reference != "comparison":
            return skipped("compares with typical firms, of whom some are supported")
        if result.estimand.scale != "level":
            return skipped(f"answers on the scale {result.estimand.scale!r}")
        estimates = result.table()["estimate"].to_numpy(dtype=float)
        truths = np.array([twins.truth(g, t) for g, t in result.estimand.cells])
        if result.estimand.common == "all":  # one number for all cells is their mean
            since = np.array([t >= g for g, t in result.estimand.cells])
            estimates, truths = estimates[:1], truths[since].mean(keepdims=True)
        gap = np.abs(estimates - truths)
        worst = int(gap.argmax())
        text = (
            f"the effect of cell {result.estimand.cells[worst]} is {truths[worst]:.6g} exactly, "
            f"{estimates[worst]:.6g} was estimated"
        )
        return held(text if gap[worst] > 1e-6 * twins.effect else "")

    return examine
