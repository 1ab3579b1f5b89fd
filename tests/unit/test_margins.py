"""Margins of a design: what they agree with, what they say, and what they refuse."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import exportimpact as ei
from exportimpact.matching import EntropyBalancing, Exact, InverseProbability, Nearest

PAIRS = [
    ("extensive_part", "intensive_part"),
    ("extensive_at_comparison_mean", "intensive_at_supported_share"),
    ("extensive_at_supported_mean", "intensive_at_comparison_share"),
]
MATCHERS = {
    "entropy": EntropyBalancing(),
    "odds": InverseProbability(),
    "nearest": Nearest(replace=True, caliper=0.5),
    "exact": Exact(on=["sector"]),
}


def frame_of(seed=7, n=400, years=6):
    """Two cohorts; larger firms are supported and export more often; support moves both margins."""
    rng = np.random.default_rng(seed)
    size = rng.normal(0, 1, n)
    first = np.where(rng.random(n) < 1 / (1 + np.exp(1 - size)), rng.choice([2013, 2014], n), 9999)
    sector = rng.choice(["food", "metal", "toys"], n)
    year = 2010 + np.arange(years)
    on = year >= first[:, None]
    latent = 0.5 * size[:, None] + 0.6 * on + rng.normal(0, 1, (n, 1)) + rng.normal(size=on.shape)
    value = np.exp(2 + 0.5 * size[:, None] + 0.2 * on + rng.normal(0, 0.7, on.shape))
    return pd.DataFrame(
        {
            "firm": np.repeat(np.arange(n), years),
            "year": np.tile(year, n),
            "first": pd.array(np.repeat(first, years), dtype="Int64"),
            "exports": np.where(latent > 0, value, 0.0).ravel(),
            "size": np.repeat(size, years),
            "sector": np.repeat(sector, years),
            "region": np.repeat(rng.integers(0, 30, n), years),
            "w": np.repeat(rng.integers(1, 4, n), years).astype(float),
        }
    )


def design_of(frame, outcome="exports", covariates=("size",), **options):
    frame = frame.assign(first=frame["first"].mask(frame["first"] == 9999))
    both = [
        ei.Outcome("exports", unit="KRW m"),
        ei.Outcome("exporting", column="exports", scale="binary"),
    ]
    options = {"outcomes": both, "baseline": ["size", "sector"]} | options
    panel = ei.Panel.from_frame(frame, unit="firm", period="year", **options)
    support = ei.Assignment.from_first_period(frame, unit="firm", first_period="first")
    return ei.Design(panel, support, outcome=outcome, covariates=covariates)


@pytest.fixture(scope="module")
def frame():
    return frame_of()


@pytest.fixture(scope="module")
def found(frame):
    return ei.margins(design_of(frame).match(EntropyBalancing()), tighten="sector")


def rows(found, **options):
    return found.table(**options).set_index("quantity")


@pytest.mark.parametrize("name", MATCHERS)
@pytest.mark.parametrize("options", [{}, {"weight": "w"}, {"cluster": "region"}], ids=str)
@pytest.mark.parametrize("event_time", [None, 1])
def test_total_and_participation_are_those_of_weighting(name, options, event_time, frame):
    """Errors too: matching, estimated weights, clusters and cohort sizes count alike."""
    matched = {
        "total": design_of(frame, **options).match(MATCHERS[name]),
        "extensive": design_of(frame, "exporting", **options).match(MATCHERS[name]),
    }
    table = rows(ei.margins(matched["total"], event_time=event_time))
    for quantity, factor in (("total", 1.0), ("extensive", 100.0)):
        effect = ei.matched.Weighting(change=False).estimate(matched[quantity])
        effect = effect.overall("simple", min=event_time, max=event_time)
        for column in ("estimate", "std_error", "ci_low", "ci_high"):
            ours = table.loc[quantity, column]
            assert ours == pytest.approx(factor * getattr(effect, column), rel=1e-9), column


def test_bounds_enclose_the_raw_difference_and_parts_add_up(found):
    table = rows(found)["estimate"]
    for margin in ("intensive", "log"):
        assert table[f"{margin}_low"] <= table[f"{margin}_raw"] <= table[f"{margin}_high"]
    for one, other in PAIRS:
        assert table[one] + table[other] == pytest.approx(table["total"], abs=1e-12)
    assert 0 < found.trimmed < 1


def test_the_table_has_its_columns_and_both_sides(found):
    table = rows(found)
    for column in ("std_error", "ci_low", "ci_high", "n_supported", "n_comparison"):
        known = table[column].drop(["intensive_effect", "log_effect"])
        assert known.notna().all(), column
    sides = table.loc[["total", "extensive", "intensive_raw", "intensive_low", "log_high"]]
    difference = sides["supported"] - sides["comparison"]
    np.testing.assert_allclose(difference, sides["estimate"], rtol=1e-9)
    assert table["unit"].to_dict() == {
        name: "pp" if name == "extensive" else "log points" if "log_" in name else "KRW m"
        for name in table.index
    }
    # Those that export are fewer than those that are compared.
    assert table.loc["intensive_raw", "n_supported"] < table.loc["total", "n_supported"]


def test_the_interval_for_the_effect_is_narrower_than_both_bounds_intervals(found):
    table, wide = rows(found), rows(found, level=0.99)
    for margin in ("intensive", "log"):
        low, high, effect = (table.loc[f"{margin}_{end}"] for end in ("low", "high", "effect"))
        assert low["ci_low"] < effect["ci_low"] < low["estimate"]
        assert high["estimate"] < effect["ci_high"] < high["ci_high"]
        assert wide.loc[f"{margin}_effect", "ci_low"] < effect["ci_low"]
    with pytest.raises(ei.ExportImpactError, match="EI-I08"):
        found.table(level=95)


def test_row_order_and_units_do_not_matter(frame):
    def table(f):
        return rows(ei.margins(design_of(f).match(Nearest(replace=True)), tighten="sector"))

    one = table(frame)
    shuffled = table(frame.sample(frac=1.0, random_state=3))
    pd.testing.assert_frame_equal(one, shuffled, rtol=1e-9)
    scaled = table(frame.assign(exports=1000 * frame["exports"]))
    money = one["unit"] == "KRW m"
    for column in ("estimate", "std_error", "ci_low", "ci_high"):
        factor = np.where(money, 1000.0, 1.0)
        np.testing.assert_allclose(scaled[column], factor * one[column], rtol=1e-7)


def test_support_that_lowers_participation_trims_the_comparison_side(frame):
    on = frame["year"] >= frame["first"]
    kept = np.random.default_rng(1).random(len(frame)) < 0.5
    lower = frame.assign(exports=frame["exports"].where(~on | kept, 0.0))
    matched = design_of(lower).match(EntropyBalancing())
    result = ei.margins(matched)
    table = rows(result)
    assert table.loc["extensive", "estimate"] < 0
    low, raw, high = (table.loc[f"intensive_{end}"] for end in ("low", "raw", "high"))
    assert low["supported"] == pytest.approx(raw["supported"])
    assert low["comparison"] > raw["comparison"] > high["comparison"]
    assert "made none an exporter" in str(result.assumptions[1])


def test_by_lot_is_for_the_user_to_say(frame):
    plain = design_of(frame)
    with pytest.raises(ei.ExportImpactError, match="EI-E55"):
        ei.margins(plain)
    with pytest.raises(ei.ExportImpactError, match="EI-E10"):
        ei.margins(frame)
    result = ei.margins(plain, randomised=True)
    assert str(result.step) == "VI"
    assert "as the user says" in str(result.assumptions[0])
    matched = ei.margins(plain.match(EntropyBalancing()))
    assert str(matched.step) == "V-a"
    assert "unconfoundedness" in str(matched.assumptions[0])


@pytest.mark.parametrize(
    ("change", "options", "code"),
    [
        ({}, {"event_time": 9}, "EI-E57"),
        ({}, {"event_time": -1}, "EI-E57"),
        ({}, {"tighten": "colour"}, "EI-P33"),
        ({"exports": lambda f: f["exports"].where(f["year"] < f["first"], 0)}, {}, "EI-E58"),
        ({"sector": lambda f: "s" + f["firm"].astype(str)}, {"tighten": "sector"}, "EI-E59"),
    ],
)
def test_what_cannot_be_taken_apart_is_refused(change, options, code, frame):
    with pytest.raises(ei.ExportImpactError, match=code):
        ei.margins(design_of(frame.assign(**change), covariates=()), randomised=True, **options)


def test_an_outcome_that_is_no_share_times_a_mean_is_refused(frame):
    with pytest.raises(ei.ExportImpactError, match=r"EI-E56.*scale 'binary'"):
        ei.margins(design_of(frame, "exporting"), randomised=True)
    change = frame.assign(exports=frame["exports"] - 1)
    plain = design_of(change, outcomes=[ei.Outcome("exports")])
    with pytest.raises(ei.ExportImpactError, match=r"EI-E56.*below zero in \d+ firm-periods"):
        ei.margins(plain, randomised=True)


def said(result):
    return " ".join(map(str, (*result.assumptions, *result.notes)))


def test_notes_say_when_participation_does_not_move(frame):
    alike = frame.assign(exports=frame["exports"].to_numpy()[np.random.default_rng(2).permutation(
        len(frame))])  # fmt: skip
    assert "does not move participation detectably" in said(
        ei.margins(design_of(alike), randomised=True)
    )
    everyone = ei.margins(design_of(frame.assign(exports=frame["exports"] + 1)), randomised=True)
    assert "no extensive margin" in said(everyone)
    table = rows(everyone)
    for column in ("estimate", "std_error", "ci_low", "ci_high"):
        for end in ("low", "high"):
            raw = table.loc["intensive_raw", column]
            assert table.loc[f"intensive_{end}", column] == pytest.approx(raw, rel=1e-9)


def test_notes_say_when_participation_moves_both_ways_by_category(frame):
    on = frame["year"] >= frame["first"]
    toys = frame["sector"] == "toys"
    moved = frame.assign(exports=frame["exports"].mask(on & toys, 0.0).mask(on & ~toys, 9.0))
    # One toy firm keeps exporting, so that the category has exporters on both sides.
    one = frame.loc[on & toys, "firm"].iloc[0]
    moved.loc[moved["firm"] == one, "exports"] = 3.0
    result = ei.margins(design_of(moved), randomised=True, tighten="sector")
    signs = np.sign(result.categories().set_index("category")["estimate"])
    assert signs.to_dict() == {"food": 1.0, "metal": 1.0, "toys": -1.0}
    assert "selection is not monotone" in said(result)
    assert "falls among toys" in said(result)


def test_categories_without_exporters_on_a_side_are_reported(frame):
    none = frame["sector"] == "toys"
    moved = frame.assign(exports=frame["exports"].mask(none & (frame["first"] == 9999), 0.0))
    result = ei.margins(design_of(moved), randomised=True, tighten="sector")
    supported = int(frame.loc[none & (frame["first"] < 9999), "firm"].nunique())
    assert f"{supported} supported firms" in said(result)
    assert "without exporters on one side" in said(result)


def test_it_shows_itself_and_draws(found):
    text = repr(found)
    assert len(text.splitlines()) <= 20
    assert "step V-a" in text
    assert "monotone selection within each category of sector" in text
    html = found._repr_html_()
    assert "Extensive margin: share of exporters" in html
    assert "not causal by itself" in html
    exhibit = found.exhibit
    assert exhibit.kind == "margins"
    assert exhibit.table["label"].is_unique
    axes = ei.plot.margins(found)
    assert ei.plot.draw(exhibit).get_xlabel() == axes.get_xlabel() == "in KRW m"
    with pytest.raises(AttributeError):
        found.trimmed = 0.5


def test_where_no_error_is_known_none_is_shown(frame):
    matcher = Nearest(classifier=LogisticRegression(), folds=2, replace=True)
    result = ei.margins(design_of(frame).match(matcher), tighten="sector")
    table = rows(result)
    assert table["estimate"].drop(["intensive_effect", "log_effect"]).notna().all()
    assert table[["std_error", "ci_low", "ci_high"]].isna().all(axis=None)
    assert "no row has a standard error" in said(result)
    assert "detectably" not in said(result)
    assert ei.plot.margins(result).get_xlabel() == "in KRW m"


def test_the_seal_is_named(frame):
    matched = design_of(frame).match(EntropyBalancing())
    assert "Exploratory" in said(ei.margins(matched))
    assert "Exploratory" not in said(ei.margins(matched.seal()))


def test_the_code_of_the_how_to_runs(tmp_path, monkeypatch):
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "exports-with-zeros.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    assert (tmp_path / "margins.svg").exists()
