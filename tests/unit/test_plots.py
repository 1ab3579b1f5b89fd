"""Figures: what is drawn, and that they are the same at every call."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET

import matplotlib as mpl
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.core.exhibit import Exhibit
from exportimpact.evaluation import evaluate
from exportimpact.plots import DRAWINGS, draw, event_study, figure_svg, ladder, ladder_table

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


def test_ladder_marks_step_four_as_not_causal(evaluation):
    axes = ladder(evaluation)
    labels = [t for t in texts(axes) if t.startswith("Step")]
    assert len(labels) == 2
    assert "not causal" in labels[0]
    assert "not causal" not in labels[1]
    assert drawn(axes, "s")
    assert drawn(axes, "o")
    assert len(drawn(axes, "x")) == 2


@pytest.mark.parametrize("kind", sorted(DRAWINGS))
def test_svg_is_the_same_at_every_call_and_well_formed(evaluation, kind):
    tables = {"event_study": evaluation.event_study(), "ladder": ladder_table(evaluation)}
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


def test_no_pyplot(result):
    loaded = "matplotlib.pyplot" in sys.modules
    event_study(result)
    assert ("matplotlib.pyplot" in sys.modules) == loaded
