"""Intertemporal written out again firm by firm, what it equals, and what must not change it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exportimpact import Assignment, Design, Panel
from exportimpact.did import GroupTime, Intertemporal

SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=5)
NUMBERS = ["estimate", "std_error", "ci_low", "ci_high", "p_value"]


def paths(seed, n_firms=30, n_years=7, gaps=0.1, alone=False, already=False):
    """Firms whose dose starts, stops and comes again.

    `alone` gives each its own first dose; with `already` some start with a dose, and no firm has
    both more and less than that.
    """
    rng = np.random.default_rng(seed)
    years = np.arange(2010, 2010 + n_years)
    first = np.where(np.arange(n_firms) < n_firms // 3, 9999, rng.choice([2012, 2013], n_firms))
    first[-4:] = [2012, 2012, 2013, 2013]
    since = years >= first[:, None]
    dose = since * rng.integers(0, 3, since.shape).astype(float)
    starts = years == first[:, None]
    dose[starts] = rng.integers(1, 3, starts.sum()) + alone * rng.random(starts.sum())
    if already:
        base = rng.integers(0, 3, (n_firms, 1))
        base[-2:] = [[1], [2]]
        falls = rng.random((n_firms, 1)) < 0.5
        less = base * np.where(starts, 0, rng.integers(0, 2, since.shape))
        dose = np.where(since, np.where(falls, less, base + dose), base).astype(float)
        dose[starts & (dose == base)] += 1
    y = rng.normal(size=since.shape).cumsum(axis=1) + dose + 5
    y[rng.random(y.shape) < gaps] = np.nan
    return pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n_firms) + 100, n_years),
            "year": np.tile(years, n_firms),
            "dose": dose.ravel(),
            "y": y.ravel(),
            "w": np.repeat(rng.integers(1, 4, n_firms), n_years).astype(float),
        }
    )


def design(frame, weight=None, already="drop", **options):
    panel = Panel.from_frame(frame, unit="firm", period="year", outcomes=["y"], weight=weight)
    support = Assignment.from_doses(frame, unit="firm", period="year", dose="dose", already=already)
    return Design(panel, support, outcome="y", **({"comparison": "not_yet"} | options))


def estimate(frame, estimator=None, **options):
    return (estimator or Intertemporal()).estimate(design(frame, **options))


@dataclass
class Length:
    """Everything about the effects, or placebos, of one length, firm by firm."""

    effect: float = 0.0
    weight: float = 0.0
    dose: float = 0.0
    dose_now: float = 0.0
    by_firm: dict = field(default_factory=dict)


def by_hand(frame, length):
    """The paper's effect number `length` (a placebo if negative), with sums of the firms' parts.

    Every switcher is compared with the firms of its first dose that have not changed by then. Its
    own deviation, and theirs, are from the mean of their group, times sqrt(n / (n - 1)).
    """
    y = frame.pivot(index="firm", columns="year", values="y").to_dict("index")
    d = frame.pivot(index="firm", columns="year", values="dose").to_dict("index")
    w = frame.groupby("firm")["w"].first().to_dict()
    years = sorted(frame["year"].unique())
    base = {i: d[i][years[0]] for i in d}
    start = {i: min([t for t in years if d[i][t] != base[i]], default=9999) for i in d}
    sign = {i: -1 if start[i] < 9999 and d[i][start[i]] < base[i] else 1 for i in d}
    out = Length(by_firm=dict.fromkeys(d, 0.0))
    for g in sorted(set(start.values()) - {9999}):
        lead, until, end = g - 1, g - 1 + abs(length), g - 1 + length
        if until > years[-1] or end < years[0]:
            continue
        seen = [i for i in d if not np.isnan([y[i][t] for t in (lead, until, end)]).any()]
        change = {i: y[i][end] - y[i][lead] for i in seen}
        waiting = {
            b: [i for i in seen if start[i] > until and base[i] == b] for b in set(base.values())
        }
        switchers = [i for i in seen if start[i] == g and waiting[base[i]]]
        mean = {
            b: sum(w[j] * change[j] for j in group) / sum(w[j] for j in group)
            for b, group in waiting.items()
            if group
        }
        gain = {i: sign[i] * (change[i] - mean[base[i]]) for i in switchers}
        for i in switchers:
            since = [t for t in years if g <= t <= until]
            out.effect += w[i] * gain[i]
            out.weight += w[i]
            out.dose += w[i] * sign[i] * sum(d[i][t] - base[i] for t in since)
            out.dose_now += w[i] * sign[i] * (d[i][until] - base[i])
        kinds = {(base[i], d[i][g]) for i in switchers}
        groups = [[i for i in switchers if (base[i], d[i][g]) == kind] for kind in kinds]
        alone = [group[0] for group in groups if len(group) == 1]
        for group in [*(group for group in groups if len(group) > 1), alone]:
            among = switchers if len(group) == 1 else group
            centre = sum(w[i] * gain[i] for i in among) / max(sum(w[i] for i in among), 1)
            factor = np.sqrt(len(group) / max(len(group) - 1, 1))
            for i in group:
                out.by_firm[i] += factor * w[i] * (gain[i] - centre)
        for b, group in waiting.items():
            load = sum(w[i] * sign[i] for i in switchers if base[i] == b)
            factor = np.sqrt(len(group) / max(len(group) - 1, 1))
            for j in group:
                share = w[j] / sum(w[k] for k in group)
                out.by_firm[j] -= factor * load * share * (change[j] - mean[b])
    return out


@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("already", ["drop", "keep"])
@settings(max_examples=6)
@given(seed=SEED, weighted=st.booleans(), alone=st.booleans())
def test_effects_placebos_and_errors(normalized, already, seed, weighted, alone):
    frame = paths(seed, alone=alone, already=already == "keep")
    frame = frame if weighted else frame.assign(w=1.0)
    options = {"already": already} | ({"weight": "w"} if weighted else {})
    result = estimate(frame, Intertemporal(normalized=normalized, errors="paths"), **options)
    rows = result.aggregate("event_time", weights="observed").table().set_index("event_time")
    cells = result.table().groupby("event_time")["n_supported"].sum()
    total = {length: by_hand(frame, length) for length in (-3, -2, -1, 1, 2, 3, 4, 5)}
    assert set(rows.index) == {n - 1 for n, part in total.items() if part.weight}
    for event_time, row in rows.iterrows():
        part = total[event_time + 1]
        per = part.dose if normalized else part.weight
        error = np.sqrt(sum(v**2 for v in part.by_firm.values())) / per
        assert row["estimate"] == pytest.approx(part.effect / per, rel=1e-9, abs=1e-12)
        assert row["std_error"] == pytest.approx(error, rel=1e-9)
        assert weighted or cells[event_time] == part.weight
    shown = next(e for e in result.exhibits if e.id == "total_effect").table.iloc[0]
    parts = [part for length, part in total.items() if length > 0]
    support = sum(part.dose_now for part in parts)
    psi = [sum(part.by_firm[i] for part in parts) for i in parts[0].by_firm]
    assert shown["estimate"] == pytest.approx(sum(part.effect for part in parts) / support)
    assert shown["std_error"] == pytest.approx(np.sqrt(np.sum(np.square(psi))) / support)


@pytest.mark.parametrize("normalized", [False, True])
@settings(max_examples=2)
@given(seed=SEED, already=st.booleans())
def test_influence_is_the_derivative_by_firms_weights(normalized, seed, already):
    """psi of the total effect, and of an effect per unit, against refits with one weight moved."""
    frame = paths(seed, n_firms=16, already=already).assign(w=1.0)
    one = Intertemporal(normalized=normalized)

    def numbers(frame):
        result = one.estimate(design(frame, weight="w", already="keep"))
        shown = next(e for e in result.exhibits if e.id == "total_effect").table.iloc[0]
        rows = result.aggregate("event_time", weights="observed")
        return result, rows, np.append(rows.table()["estimate"], shown["estimate"]), shown

    result, rows, _, shown = numbers(frame)
    n, step, slopes = result.units.size, 1e-5, []
    for firm in result.units:
        moved = [
            numbers(frame.assign(w=frame["w"] + h * (frame["firm"] == firm)))[2]
            for h in (step, -step)
        ]
        slopes.append((moved[0] - moved[1]) / (2 * step))
    slopes = np.array(slopes)
    np.testing.assert_allclose(rows.influence / n, slopes[:, :-1], atol=1e-6)
    assert shown["std_error"] == pytest.approx(np.sqrt((slopes[:, -1] ** 2).sum()), rel=1e-5)


@pytest.mark.parametrize("comparison", ["never", "not_yet"])
@FEW
@given(seed=SEED)
def test_absorbing_support_is_group_time(comparison, seed, firms, same):
    """Cell by cell, errors included; mirrored placebos are those among never supported firms."""
    one = firms(seed)
    group_time = one.estimate(GroupTime(adjust="none"), comparison=comparison)
    every = one.estimate(Intertemporal(placebos="all"), comparison=comparison)
    same(group_time, every, rtol=1e-12)
    mirrored = one.estimate(Intertemporal(), comparison=comparison).table()
    keys = ["cohort", "period"]
    both = group_time.table().merge(mirrored, on=keys, suffixes=("", "_mirrored"))
    assert len(both) == len(mirrored)
    both = both[(both["event_time"] >= 0) | (comparison == "never")]
    for name in NUMBERS:
        np.testing.assert_allclose(both[f"{name}_mirrored"], both[name], rtol=1e-9, atol=1e-12)


@FEW
@given(seed=SEED)
def test_doses_of_nought_and_one_are_spells(seed, firms, same):
    one = firms(seed)
    on = (one.frame["year"] >= one.frame["first"]).fillna(False).astype(int)
    frame = one.frame.assign(dose=on)
    support = Assignment.from_doses(frame, unit="firm", period="year", dose="dose")
    for option in ({}, {"normalized": True}):
        by_doses = Intertemporal(**option).estimate(Design(one.panel(), support, outcome="y"))
        same(one.estimate(Intertemporal(**option)), by_doses, rtol=0)


@pytest.mark.parametrize("errors", ["sampling", "paths"])
@FEW
@given(seed=SEED, scale=st.floats(0.1, 10), dose=st.floats(0.1, 10), alone=st.booleans())
def test_units_and_effects_of_firms_and_periods(errors, seed, scale, dose, alone):
    """A unit of the outcome scales effects, one of the dose divides them; common shifts are nought.

    With `errors="paths"` this holds for firms that are alone with their first dose as well.
    """
    frame, rng = paths(seed, alone=alone), np.random.default_rng(seed)
    of_firm = frame["firm"].map(dict(zip(range(100, 130), rng.normal(0, 5, 30), strict=True)))
    of_year = frame["year"].map(dict(zip(range(2010, 2017), rng.normal(0, 5, 7), strict=True)))
    other = frame.assign(y=scale * frame["y"] + of_firm + of_year, dose=dose * frame["dose"])
    for normalized in (False, True):
        one = Intertemporal(normalized=normalized, errors=errors)
        before, after = estimate(frame, one), estimate(other, one)
        factor = scale / dose if normalized else scale
        for name in ("estimate", "std_error"):
            expected = factor * before.table()[name]
            np.testing.assert_allclose(after.table()[name], expected, rtol=1e-7, atol=1e-9)
        totals = [r.exhibits[0].table.iloc[0] for r in (before, after)]
        assert totals[1]["estimate"] == pytest.approx(totals[0]["estimate"] * scale / dose)
        assert totals[1]["std_error"] == pytest.approx(totals[0]["std_error"] * scale / dose)


@FEW
@given(seed=SEED)
def test_rows_of_firms_and_doses_in_any_order(seed, same):
    frame = paths(seed)
    shuffled = frame.sample(frac=1, random_state=seed % 2**31)
    one, other = estimate(frame), estimate(shuffled)
    same(one, other, rtol=0)
    assert one.provenance.seal == other.provenance.seal
    totals = [r.exhibits[0].table for r in (one, other)]
    pd.testing.assert_frame_equal(*totals)


def test_the_seal_covers_the_path_after_the_first_change():
    frame = paths(7)
    late = frame["dose"].gt(0) & frame["year"].eq(2016)
    assert late.any()
    changed = frame.assign(dose=frame["dose"] + late)
    seals = [design(f).seal().hash for f in (frame, changed)]
    assert seals[0] != seals[1]
    outcomes = frame.assign(y=frame["y"] + (frame["year"] >= 2013))
    assert design(outcomes).seal().hash == seals[0]
