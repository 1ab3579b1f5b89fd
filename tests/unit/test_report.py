"""The report: every number from a table, nothing unescaped, nothing half-written."""

from __future__ import annotations

import csv
import io
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.core.exhibit import Exhibit
from exportimpact.diagnostics import diagnose
from exportimpact.evaluation import Objective, Plan, evaluate
from exportimpact.language import message
from exportimpact.report import numbers, render, write_report

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def evaluation():
    bench = ei.synthetic.scenario("selection_on_trends").draw(n_firms=400, n_periods=8, seed=1)
    frame = bench.frame.assign(exporting=lambda f: (f["ln_exports"] > f["ln_exports"].median()) * 1)
    frame[NASTY] = frame["ln_exports"]
    outcomes = [ei.Outcome(NASTY, scale="logged"), ei.Outcome("exporting", scale="binary")]
    panel = ei.Panel.from_frame(frame, unit="firm_id", period="year", outcomes=outcomes)
    results, findings = [], {}
    for outcome in (NASTY, "exporting"):
        design = ei.Design(panel, bench.support, outcome=outcome).seal()
        own = [e.estimate(design) for e in (ei.matched.Benchmark(), ei.did.GroupTime())]
        results += own
        findings[outcome] = diagnose(design, own[-1])
    plan = Plan(
        title="Vouchers & fairs",
        question=f"Did it work, {NASTY}?",
        objectives=(Objective(outcome="exporting", target=2, unit="pp"),),
    )
    return evaluate(results[0].design, results, findings, plan=plan, known={NASTY: 0.07})


@pytest.fixture(scope="module")
def files(evaluation):
    return render(evaluation, record={"exportimpact": "0.1.0", "versions": {"numpy": "2.4"}})


class Page(HTMLParser):
    """Tags and text of the page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture(scope="module")
def page(files):
    return Page(files["report.html"].decode("utf-8"))


def test_page_is_self_contained(files, page):
    text = files["report.html"].decode("utf-8")
    assert not [tag for tag, _ in page.tags if tag in {"script", "link", "img", "iframe", "object"}]
    assert "@import" not in text
    links = [a["href"] for tag, a in page.tags if tag == "a" and "href" in a]
    local = {href for href in links if href.startswith("tables/")}
    assert local
    assert local <= set(files)
    rest = set(links) - local
    assert all(href.startswith(("#", "https://doi.org/10.")) for href in rest), rest
    assert sum(tag == "svg" for tag, _ in page.tags) == 4
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    anchors = {href[1:] for href in links if href.startswith("#")}
    assert anchors <= set(ids)


def test_names_are_escaped(files):
    text = files["report.html"].decode("utf-8")
    assert NASTY not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    for name, content in files.items():
        if name.endswith(".svg"):
            assert "<script" not in content.decode("utf-8")
        assert re.fullmatch(r"report\.html|(tables|figures)/\w+\.(csv|svg)", name)


def test_page_says_what_it_must(page):
    said = " ".join(" ".join(page.words).split())
    for phrase in (
        "not causal",
        "known because the panel is synthetic",
        "supported and up to",
        "Taken on trust",
        "Sample account",
        "support starts",
        "package convention",
        "smallest effect found with 80 % power",
        "Not stated: a relative effect means little",
        "versions · numpy",
    ):
        assert phrase in said, phrase


@pytest.fixture(scope="module")
def matched():
    """Two outcomes, matched well, matched on the past, and matched within limits that fail."""
    bench = ei.synthetic.scenario("selection_on_level").draw(n_firms=400, n_periods=8, seed=1)
    frame = bench.frame.assign(twice=lambda f: 2 * f["ln_exports"])
    outcomes = [ei.Outcome("ln_exports", scale="logged"), ei.Outcome("twice", scale="logged")]
    panel = ei.Panel.from_frame(
        frame, unit="firm_id", period="year", outcomes=outcomes, baseline=["employees"]
    )
    nearest = ei.matching.Nearest(replace=True)
    results = []
    for name in ("ln_exports", "twice"):
        design = ei.Design(panel, bench.support, outcome=name, covariates=["employees"])
        close = design.match(nearest).seal()
        past = design.match(ei.matching.EntropyBalancing(), lags=1).seal()
        limits = ei.matching.Thresholds(smd=1e-9)
        strict = design.match(ei.matching.Nearest(), thresholds=limits).seal()
        results += [
            ei.matched.Benchmark().estimate(design.seal()),
            ei.did.GroupTime(adjust="none").estimate(design.seal()),
            ei.matched.MatchedDifference(change=False).estimate(close),
            ei.matched.MatchedDifference().estimate(close),
            ei.did.GroupTime(adjust="none").estimate(close),
            ei.matched.Weighting().estimate(past),
            ei.matched.MatchedDifference().estimate(strict),
        ]
    return evaluate(results[0].design, results, ())


@pytest.fixture(scope="module")
def matched_files(matched):
    return render(matched)


def test_matched_rungs_stand_side_by_side_and_name_their_matcher(matched):
    ladder = matched.ladder("ln_exports")
    assert ladder["step"].tolist() == ["IV", "IV", "V-a", "V-b", "V-b", "V-b", "V-b"]
    variants = dict(zip(ladder["estimator"] + " " + ladder["step"], ladder["variant"], strict=True))
    assert variants["matched_difference V-a"].startswith("nearest firms; levels")
    assert variants["weighting V-b"] == "entropy weights; same last outcome"
    assert variants["benchmark IV"] == ""


def test_every_matched_design_is_shown_once(matched_files):
    svg = sorted(n for n in matched_files if n.startswith("figures/match_"))
    # The second outcome has the same firms and weights, unless its own past was matched on.
    three = ("love", "overlap", "paths")
    assert svg == [
        *(f"figures/match_ln_exports_entropybalancing_{k}.svg" for k in three),
        *(f"figures/match_ln_exports_nearest_2_{k}.svg" for k in three),
        *(f"figures/match_ln_exports_nearest_{k}.svg" for k in three),
        *(f"figures/match_twice_entropybalancing_{k}.svg" for k in three),
        "figures/match_twice_nearest_2_paths.svg",
        "figures/match_twice_nearest_paths.svg",
    ]
    text = matched_files["report.html"].decode("utf-8")
    assert text.count("The same firms with the same weights as for ln_exports") == 2
    assert not [n for n in matched_files if "exhibit" in n and "balance" in n]
    links = set(re.findall(r'href="(tables/[^"]+)"', text))
    assert links <= set(matched_files)
    assert "tables/match_twice_nearest_paths.csv" in links


def test_what_misses_the_limits_is_said_beside_its_estimates(matched, matched_files):
    row = matched.ladder("ln_exports").iloc[1]
    assert (row["estimator"], row["causal"]) == ("matched_difference", False)
    assert "differ by more than" in row["limits_missed"]
    text = matched_files["report.html"].decode("utf-8")
    assert "Matched difference (limits missed, not causal), nearest firms" in text
    assert "Limits missed (nearest firms)" in text
    assert "Match (nearest firms): Matching missed its limits" in text
    assert "limits missed, not causal" in matched_files["figures/ladder_ln_exports.svg"].decode()
    alone = evaluate(
        matched.rungs[1].result.design, [matched.rungs[1].result], (), plan=Plan(title="Capped")
    )
    claim = alone.claims().iloc[0]
    assert claim["status"] == "describes"
    assert "relative to matched firms" in claim["claim"]
    assert "missed its limits" in claim["caveats"]
    assert text.count('<p class="flag">') > 0
    card = render(alone)["report.html"].decode("utf-8").split("</article>")[0]
    assert "Matching missed its limits" in card


def test_two_assumptions_make_a_bracket(matched, matched_files):
    table = matched.brackets()
    assert table["outcome"].tolist() == ["ln_exports", "ln_exports", "twice", "twice"]
    assert table["assumption"].tolist()[:2] == ["parallel_trends", "unconfoundedness"]
    assert table["estimator"].tolist()[:2] == ["group_time", "weighting"]
    text = matched_files["report.html"].decode("utf-8")
    assert "Two assumptions that do not contain one another" in text
    assert 'href="https://doi.org/10.1017/pan.2019.25"' in text
    assert "tables/brackets.csv" in matched_files


def test_a_design_matched_on_the_past_does_not_claim_parallel_trends(matched):
    past = next(rung for rung in matched.rungs if rung.lags)
    alone = evaluate(past.result.design, [past.result], ())
    assert "the same past ln_exports" in alone.claims()["claim"].iloc[0]
    assert alone.brackets().empty


def test_numbers_of_the_matching_section_stand_in_its_tables(matched_files):
    check_numbers(matched_files)


def test_every_number_of_the_grids_stands_in_its_table(files):
    check_numbers(files)


def check_numbers(files):
    """Every numeric cell shown is a rounded value (or 100 times a share) of its CSV file."""
    text = files["report.html"].decode("utf-8")
    grids = re.findall(r'<figure class="table.*?</figure>', text, flags=re.DOTALL)
    assert len(grids) >= 10
    for grid in grids:
        source = re.search(r'href="(tables/\w+\.csv)"', grid)
        frame = pd.read_csv(io.BytesIO(files[source.group(1)]))
        known = frame.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float).ravel()
        for cell in re.findall(r'<td class="n">([^<]*)</td>', grid):
            for shown in re.findall(r"[+−]?\d[\d,]*\.?\d*", cell):
                value = float(shown.replace(",", "").replace("−", "-"))
                half = 0.51 * 10.0 ** -(len(shown.partition(".")[2]))
                near = [abs(value - k * f) <= half for k in known for f in (1, 100)]
                assert any(near) or cell.startswith("&lt;"), (source.group(1), cell)


def test_tables_read_back_to_the_last_digit(evaluation, files):
    table = evaluation.ladder()
    back = list(csv.DictReader(io.StringIO(files["tables/ladder.csv"].decode("utf-8"))))
    for column in ("estimate", "std_error", "ci_low", "p_value", "percent", "mde"):
        assert [float(row[column]) for row in back] == table[column].tolist()


def test_numbers_name_the_place_of_every_value(evaluation, files):
    found = numbers(evaluation)
    assert found["place"].is_unique
    assert set(found["kind"]) == {"estimate", "p_value", "count", "text"}
    cells = sum(pd.read_csv(io.BytesIO(c)).size for n, c in files.items() if n.endswith(".csv"))
    assert len(found) == cells
    row = found[found["place"] == "tables/ladder.csv:2:estimate"].iloc[0]
    ladder = evaluation.ladder().iloc[1]
    assert row["value"] == ladder["estimate"]
    assert row["std_error"] == ladder["std_error"]
    percent = found[found["place"] == "tables/ladder.csv:2:percent"].iloc[0]
    width = (ladder["percent_high"] - ladder["percent_low"]) / 3.92
    assert percent["std_error"] == pytest.approx(width)
    assert not any(isinstance(v, float) and math.isnan(v) for v in found["value"])


def test_rendering_repeats_every_byte(evaluation, files):
    again = render(evaluation, record={"exportimpact": "0.1.0", "versions": {"numpy": "2.4"}})
    assert again == files


def test_report_is_written_whole(evaluation, files, tmp_path):
    out = tmp_path / "report"
    written = write_report(evaluation, out, record={"exportimpact": "0.1.0"})
    assert {p.relative_to(out).as_posix() for p in written} == set(files)
    assert all(p.is_file() for p in written)
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_overwriting_replaces_the_report_and_nothing_else(evaluation, tmp_path):
    out = tmp_path / "report"
    write_report(evaluation, out)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    (out / "tables" / "stale.csv").write_text("old", encoding="utf-8")
    with pytest.raises(ei.ExportImpactError) as caught:
        write_report(evaluation, out)
    assert caught.value.code == "EI-R01"
    write_report(evaluation, out, overwrite=True)
    assert (out / "notes.txt").read_text(encoding="utf-8") == "mine"
    assert not (out / "tables" / "stale.csv").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize(
    ("name", "code"), [("report.html", "EI-R02"), ("thesis.txt", "EI-R02"), (None, "EI-R03")]
)
def test_what_is_not_a_report_is_left_alone(evaluation, tmp_path, name, code):
    out = tmp_path / "mine"
    if name is None:
        out.write_text("a file", encoding="utf-8")
    else:
        out.mkdir()
        (out / name).write_text("my own page", encoding="utf-8")
    with pytest.raises(ei.ExportImpactError) as caught:
        write_report(evaluation, out, overwrite=True)
    assert caught.value.code == code
    assert (out if name is None else out / name).is_file()


def test_a_failed_write_leaves_the_former_report(evaluation, tmp_path, monkeypatch):
    out = tmp_path / "report"
    write_report(evaluation, out)
    before = (out / "report.html").read_bytes()
    rename = type(out).rename

    def fails_for_new(self, target):
        if self.name.startswith(".report-") and not self.name.endswith("-former"):
            raise OSError("disk is full")
        return rename(self, target)

    monkeypatch.setattr(type(out), "rename", fails_for_new)
    with pytest.raises(OSError, match="disk is full"):
        write_report(evaluation, out, overwrite=True)
    assert (out / "report.html").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["report"]


def test_what_methods_show_stands_beside_the_estimates(matched):
    short = pd.DataFrame({"order": [1, 2], "estimate": [0.123456, 0.2], "kept": [True, False]})
    long = pd.DataFrame({"cohort": range(2000, 2050), "weight": np.linspace(0, 1, 50)})
    exhibits = (
        Exhibit("tie_orders", "tie_orders", short, {"estimate": "log points"}),
        Exhibit("own_kind", "own_kind", long, notes=(message("match.denominator"),)),
    )
    result = replace(matched.rungs[-1].result, own_exhibits=exhibits)
    files = render(evaluate(result.design, [result], ()))
    text = files["report.html"].decode("utf-8")
    section = text.split('<section id="beside">')[1].split("</section>")[0]
    assert "How far the effect moves with the order of equally near firms" in section
    assert "Effect, log points" in section
    assert "<td>yes</td>" in section
    assert "0.123" in section
    assert "2,010" not in section  # fifty rows are a file beside the page
    name = next(n for n in files if n.endswith("own_kind.csv"))
    assert f'href="{name}"' in section
    assert str(message("match.denominator")) in section
