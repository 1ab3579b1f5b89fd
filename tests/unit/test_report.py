"""The report: every number from a table, nothing unescaped, nothing half-written."""

from __future__ import annotations

import csv
import io
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.diagnostics import diagnose
from exportimpact.evaluation import Objective, Plan, evaluate
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


def test_every_number_of_the_grids_stands_in_its_table(files):
    """Every numeric cell shown is a rounded value (or 100 times a share) of its CSV file."""
    text = files["report.html"].decode("utf-8")
    grids = re.findall(r'<figure class="table.*?</figure>', text, flags=re.DOTALL)
    assert len(grids) >= 10
    for grid in grids:
        source = re.search(r'href="(tables/\w+\.csv)"', grid)
        frame = pd.read_csv(io.BytesIO(files[source.group(1)]))
        known = frame.select_dtypes("number").to_numpy(dtype=float).ravel()
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
