"""Figures: what is drawn, and that they are the same at every call."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from itertools import pairwise

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.core.exhibit import Exhibit
from exportimpact.evaluation import evaluate
from exportimpact.plots import (
    DRAWINGS,
    draw,
    event_study,
    figure_svg,
    ladder,
    ladder_table,
    love,
    overlap,
    paths,
)

HANGUL = "수출액 <b>$x_1$</b>"


@pytest.fixture(scope="module")
def evaluation():
    bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    frame = bench.frame.rename(columns={"ln_exports": HANGUL})
    panel = ei.Panel.from_frame(
        frame, unit="firm_id", period="year", outcomes=[ei.Outcome(HANGUL, scale="logged")]
    )
    design = ei.Design(panel, bench.support, outcome=HANGUL, comparison="not_yet").seal()
    results = [e.estimate(design) for e in (ei.matched.Benchmark(), ei.did.GroupTime())]
    return evaluate(design, results, (), known={HANGUL: 0.1})


@pytest.fixture(scope="module")
def result(evaluation):
    return evaluation.headline().result


def texts(axes):
    return [t.get_text() for t in [*axes.texts, axes.title, axes._left_title, axes.xaxis.label]]


def drawn(axes, kind):
    return [line for line in axes.get_lines() if line.get_marker() == kind]


def test_event_study_draws_every_row_and_both_intervals(result):
    path = result.aggregate("event_time").bands(family="all")
    axes = event_study(result)
    points = [x for line in drawn(axes, "o") for x in line.get_xdata()]
    assert sorted(points) == path["event_time"].tolist()
    spans = [c for c in axes.collections if len(c.get_segments()) == len(path)]
    lows = {name: [s[0][1] for s in c.get_segments()] for name, c in zip("bc", spans, strict=True)}
    assert lows["b"] == pytest.approx(path["band_low"].tolist())
    assert lows["c"] == pytest.approx(path["ci_low"].tolist())
    assert drawn(axes, "D")[0].get_xdata().tolist() == [-1]
    said = " ".join(texts(axes))
    assert "log points" in said
    assert "comparison firms" in said
    assert "support starts" in said
    assert "Years since first support" in said


def test_event_study_takes_axes_and_aggregates(result):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert event_study(result.aggregate("event_time"), ax=axes) is axes
    with pytest.raises(ei.ExportImpactError) as caught:
        event_study(result.overall("simple"))
    assert caught.value.code == "EI-R05"


def test_bacon_draws_every_comparison_and_the_coefficient():
    bench = ei.synthetic.scenario("staggered_dynamic").draw(n_firms=300, n_periods=8, seed=1)
    design = ei.Design(bench.panel, bench.support, outcome="ln_exports")
    found = ei.did.TwoWayFixedEffects().estimate(design)
    axes = ei.plot.bacon(found)
    table = next(e.table for e in found.exhibits if e.kind == "bacon")
    for marker, kind in (("o", "never"), ("^", "later"), ("X", "earlier")):
        (line,) = drawn(axes, marker)
        expected = 100 * table.loc[table["kind"] == kind, "weight"]
        np.testing.assert_allclose(line.get_xdata(), expected)
    heights = [line.get_ydata()[0] for line in drawn(axes, "None")]
    assert any(np.isclose(heights, found.overall().estimate))
    with pytest.raises(ei.ExportImpactError, match="controls") as caught:
        ei.plot.bacon(ei.did.event_study(design))
    assert caught.value.code == "EI-E44"


def test_ladder_marks_step_four_as_not_causal(evaluation):
    axes = ladder(evaluation)
    labels = [t for t in texts(axes) if t.startswith("Step")]
    assert len(labels) == 2
    assert "not causal" in labels[0]
    assert "not causal" not in labels[1]
    assert drawn(axes, "s")
    assert drawn(axes, "o")
    assert len(drawn(axes, "x")) == 2


def forest_table():
    """Subgroups by a column whose name is not ours to read."""
    bench = ei.synthetic.scenario("effect_by_size").draw(n_firms=300, n_periods=8, seed=1)
    frame = bench.frame.rename(columns={"ln_exports": HANGUL, "size_class": "$규모_1$"})
    panel = ei.Panel.from_frame(
        frame,
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome(HANGUL, scale="logged")],
        baseline=["$규모_1$"],
    )
    design = ei.Design(panel, bench.support, outcome=HANGUL)
    return ei.subgroups(ei.did.GroupTime(), design, "$규모_1$").exhibit.table


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_svg_is_the_same_at_every_call_and_well_formed(evaluation, kind):
    tables = {
        "comparison": ei.compare([rung.result for rung in evaluation.rungs]).exhibit.table,
        "pretrend_power": ei.pretrend_power(
            evaluation.headline(HANGUL).result, test="each"
        ).exhibit.table,
        "bacon": pd.DataFrame(
            {
                "outcome": HANGUL,
                "scale": "logged",
                "unit": None,
                "kind": ["never", "later", "earlier"],
                "weight": [0.7, 0.2, 0.1],
                "estimate": [0.1, 0.2, -0.3],
            }
        ),
        "event_study": evaluation.event_study(),
        "forest": forest_table(),
        "ladder": ladder_table(evaluation),
        "love": balance_of(3).assign(threshold=0.1),
        "margins": pd.DataFrame(
            {
                "outcome": HANGUL,
                "label": "a & b",
                "quantity": [
                    "total",
                    "extensive",
                    "extensive_part",
                    "intensive_part",
                    "intensive_raw",
                    "intensive_low",
                    "intensive_high",
                    "intensive_effect",
                ],
                "estimate": [3.0, 2.0, 1.0, 2.0, 4.0, 1.0, 5.0, np.nan],
                "ci_low": [1.0, 1.0, 0.0, 1.0, 2.0, 0.5, 4.0, 0.6],
                "ci_high": [5.0, 3.0, 2.0, 3.0, 6.0, 1.5, 6.0, 5.9],
                "unit": "KRW m",
            }
        ),
        "overlap": pd.DataFrame(
            {
                "score": HANGUL,
                "low": [0.0, 0.5],
                "high": [0.5, 1.0],
                "supported_before": [0.2, 0.8],
                "supported_after": [0.3, 0.7],
                "comparison_before": [0.9, 0.1],
                "comparison_after": [0.3, 0.7],
            }
        ),
        "paths": pd.DataFrame(
            {
                "outcome": HANGUL,
                "event_time": [-2, -1],
                "mean_supported_before": [2.0, 3.0],
                "mean_comparison_before": [1.0, 1.0],
                "mean_supported_after": [2.0, 2.5],
                "mean_comparison_after": [2.0, 2.4],
            }
        ),
        "sensitivity": ei.sensitivity(evaluation.headline().result).exhibit.table,
    }
    told = {"name": "f-1", "title": "A & B", "description": "C < D"}
    before = dict(mpl.rcParams)
    first = figure_svg(kind, tables[kind], **told)
    with mpl.rc_context({"font.size": 30, "svg.hashsalt": None}):
        assert figure_svg(kind, tables[kind], **told) == first
    assert dict(mpl.rcParams) == before
    root = ET.fromstring(first)
    assert root.attrib["role"] == "img"
    assert "<dc:date>" not in first
    assert "<script" not in first
    assert "수출액 &lt;b&gt;$x_1$" in first
    ids = [e.attrib["id"] for e in root.iter() if "id" in e.attrib]
    assert all(i.startswith("f-1-") for i in ids)


def test_an_exhibit_is_drawn_by_its_kind(evaluation):
    assert draw(Exhibit("path", "event_study", evaluation.event_study())).lines
    with pytest.raises(ei.ExportImpactError) as caught:
        draw(Exhibit("path", "event_studie", pd.DataFrame()))
    assert caught.value.code == "EI-R06"
    assert "event_study" in str(caught.value)


def balance_of(count, name=HANGUL):
    """A table as `Design.balance` returns it, of covariates whose names end in a number."""
    gaps = np.linspace(-0.5, 0.9, count)
    names = [f"{name} {k}" for k in range(count)]
    return pd.DataFrame(
        {"covariate": names, "kind": "covariate", "smd_before": gaps, "smd_after": gaps / 20}
    )


@pytest.fixture(scope="module")
def unmatched():
    bench = ei.synthetic.scenario("selection_on_level").draw(n_firms=400, n_periods=8, seed=1)
    panel = ei.Panel.from_frame(
        bench.frame,
        unit="firm_id",
        period="year",
        outcomes=[ei.Outcome("ln_exports", scale="logged")],
        baseline=["employees"],
    )
    return ei.Design(panel, bench.support, outcome="ln_exports", covariates=["employees"])


@pytest.fixture(scope="module")
def matched(unmatched):
    return unmatched.match(ei.matching.Nearest(caliper=0.2))


def limits(axes):
    return [line.get_xdata()[0] for line in drawn(axes, "None")]


def test_love_draws_the_balance_of_a_design_and_its_limit(matched):
    axes = love(matched.balance())
    rows = matched.balance().query("kind != 'path'")
    before, after = drawn(axes, "o")
    assert sorted(before.get_xdata()) == pytest.approx(sorted(rows["smd_before"].abs()))
    assert sorted(after.get_xdata()) == pytest.approx(sorted(rows["smd_after"].abs()))
    assert 0.10 in limits(axes)
    exhibit = next(e for e in matched.exhibits if e.kind == "love")
    assert [t.get_text() for t in draw(exhibit).get_yticklabels()] == [
        t.get_text() for t in axes.get_yticklabels()
    ]


def test_love_of_an_unmatched_design_has_one_point_each(unmatched):
    axes = love(unmatched.balance(), threshold=0.25)
    assert [len(line.get_xdata()) for line in drawn(axes, "o")] == [1, 0]
    assert "not matched" in " ".join(texts(axes))
    assert "after matching" not in [t.get_text() for t in axes.get_legend().get_texts()]
    assert 0.25 in limits(axes)


def test_love_keeps_thirty_names_apart_and_marks_what_is_beyond_measure():
    table = balance_of(30, "a covariate with a long name")
    table.loc[4, "smd_before"] = np.inf
    axes = love(table)
    axes.figure.canvas.draw()
    boxes = [t.get_window_extent() for t in axes.get_yticklabels()]
    heights = sorted((box.y0, box.y1) for box in boxes)
    assert len(boxes) == 30
    assert all(low >= high for (_, high), (low, _) in pairwise(heights))
    title = axes._left_title.get_window_extent()
    assert title.x1 <= axes.figure.bbox.width
    assert [len(line.get_xdata()) for line in drawn(axes, ">")] == [1, 0]


def test_overlap_mirrors_comparison_firms_below(matched):
    axes = overlap(matched)
    heights = [bar.get_height() for bar in axes.patches if hasattr(bar, "get_height")]
    assert max(heights) > 0 > min(heights)
    assert "Propensity" in " ".join(texts(axes))


def test_paths_end_before_support(matched):
    axes = paths(matched)
    assert max(x for line in axes.get_lines() for x in line.get_xdata()) == -1
    assert len(axes.get_lines()) == 4


def test_a_design_without_anything_to_compare_has_no_love_plot(unmatched):
    design = ei.Design(unmatched.panel, unmatched.support, outcome="ln_exports")
    with pytest.raises(ei.ExportImpactError) as caught:
        love(design.balance())
    assert caught.value.code == "EI-R07"
    matched = design.match(ei.matching.Exact(on=["employees"]))
    love_table = next(e.table for e in matched.exhibits if e.kind == "love")
    assert love_table["covariate"].tolist() == ["employees"]  # matched on, though no covariate


@pytest.mark.parametrize("figure", [overlap, paths])
def test_what_a_design_cannot_show_is_said(unmatched, figure):
    with pytest.raises(ei.ExportImpactError) as caught:
        figure(unmatched)
    assert caught.value.code == "EI-R07"


@pytest.mark.parametrize("figure", [overlap, paths])
def test_figures_of_a_match_take_axes(matched, figure):
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    assert figure(matched, ax=axes) is axes


def test_no_pyplot(result):
    loaded = "matplotlib.pyplot" in sys.modules
    event_study(result)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
