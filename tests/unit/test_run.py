"""A run writes a whole folder or nothing, never over someone's files, and no firm-level data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import exportimpact as ei
from exportimpact.errors import RunError
from exportimpact.study import demo
from exportimpact.study.manifest import own_hash, relative_path

pytestmark = pytest.mark.usefixtures("plain_report")

MATCH = """
[[matching]]
name = "twins"
matcher = "nearest"
replace = true
caliper = 1.0

[[estimators]]
id = "matched_difference"
"""


@pytest.fixture
def out(tmp_path):
    return tmp_path / "results" / "fairs"


def code_of(call, *args, **named):
    with pytest.raises(RunError) as caught:
        call(*args, **named)
    return caught.value.code


def test_the_folder_is_whole(folder, out):
    stages = []
    run = ei.run_study(folder.study, out, progress=stages.append)
    assert stages[0] == "reading the data"
    assert stages[-1] == "writing the report"
    assert (out / "study.toml").read_bytes() == folder.study.read_bytes()
    assert run.report.is_file()
    assert run.manifest == out / "manifest.json"
    assert (out / "tables" / "ladder.csv").is_file()
    assert [p.name for p in out.parent.iterdir()] == ["fairs"]
    assert run.evaluation.outcomes == ("exports", "sales")
    assert "report" in repr(run)


def test_the_manifest_says_what_was_done(folder, out):
    ei.run_study(folder.study, out)
    text = (out / "manifest.json").read_text(encoding="utf-8")
    found = json.loads(text)
    assert found["schema"] == 1
    assert found["sha256"] == own_hash(found)
    assert [(i["file"], i["rows"], i["columns"]) for i in found["inputs"]] == [
        ("panel.csv", 400, 5),
        ("awards.csv", 30, 2),
    ]
    assert found["inputs"][0]["path"] == "../../input/panel.csv"
    assert [d["outcome"] for d in found["designs"]] == ["exports", "sales"]
    assert not any(d["exploratory"] for d in found["designs"])
    assert len({d["seal"] for d in found["designs"]}) == 2
    assert [(e["id"], e["outcome"]) for e in found["estimators"]][:2] == [
        ("benchmark", "exports"),
        ("group_time", "exports"),
    ]
    assert found["estimators"][1]["parameters"]["adjust"] == "regression"
    written = {o["file"] for o in found["outputs"]}
    on_disk = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert written == on_disk - {"manifest.json", "study.toml"}
    assert {"estimate", "p_value", "count"} <= {n["kind"] for n in found["numbers"]}
    assert str(Path.home()) not in text
    assert str(folder.path.parent) not in text
    assert found["environment"]["versions"]["pandas"]


def test_matched_designs_are_sealed_and_recorded(folder, out):
    with folder.study.open("a", encoding="utf-8") as file:
        file.write(MATCH)
    stages = []
    run = ei.run_study(folder.study, out, progress=stages.append)
    found = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    assert [(d["outcome"], d["matching"]) for d in found["designs"]] == [
        ("exports", None),
        ("sales", None),
        ("exports", "twins"),
        ("sales", "twins"),
    ]
    seals = {d["seal"]: d["matching"] for d in found["designs"]}
    assert len(seals) == 4
    assert [seals[e["seal"]] for e in found["estimators"][:3]] == [None, None, "twins"]
    assert found["designs"][2]["settings"]["matching"]["matcher"] == "Nearest"
    # Every design is settled before anything is estimated.
    assert stages.index("matching") < min(
        place for place, stage in enumerate(stages) if stage.startswith("estimating")
    )
    assert set(run.evaluation.ladder()["variant"]) == {"", "nearest firms"}


def test_a_match_that_fails_names_outcome_and_match(folder, out):
    with folder.study.open("a", encoding="utf-8") as file:
        file.write(MATCH.replace("replace = true", "ratio = 40"))
    with pytest.raises(ei.ExportImpactError, match=r"'exports', matching 'twins'") as caught:
        ei.run_study(folder.study, out)
    assert caught.value.code == "EI-M07"
    assert not out.parent.exists()


def test_an_output_folder_is_not_overwritten(folder, out):
    ei.run_study(folder.study, out)
    before = (out / "manifest.json").read_bytes()
    assert code_of(ei.run_study, folder.study, out) == "EI-R10"
    assert (out / "manifest.json").read_bytes() == before


def test_force_replaces_only_our_own(folder, out):
    out.mkdir(parents=True)
    (out / "thesis.docx").write_text("years of work", encoding="utf-8")
    assert code_of(ei.run_study, folder.study, out, force=True) == "EI-R11"
    (out / "manifest.json").write_text('{"package": "another"}', encoding="utf-8")
    assert code_of(ei.run_study, folder.study, out, force=True) == "EI-R11"
    assert (out / "thesis.docx").read_text(encoding="utf-8") == "years of work"


def test_force_replaces_the_whole_folder(folder, out):
    ei.run_study(folder.study, out)
    (out / "tables" / "old.csv").write_text("old", encoding="utf-8")
    ei.run_study(folder.study, out, force=True)
    assert not (out / "tables" / "old.csv").exists()
    assert [p.name for p in out.parent.iterdir()] == ["fairs"]


def test_force_never_deletes_the_inputs(folder):
    ei.run_study(folder.study, folder.path / "out")
    (folder.path / "manifest.json").write_text('{"package": "exportimpact"}', encoding="utf-8")
    assert code_of(ei.run_study, folder.study, folder.path, force=True) == "EI-R12"
    assert folder.study.is_file()


def test_the_working_folder_is_not_replaced(folder, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert code_of(ei.run_study, folder.study, ".") == "EI-R12"


def test_an_empty_folder_is_used(folder, out):
    out.mkdir(parents=True)
    assert ei.run_study(folder.study, out).report.is_file()


def test_a_file_is_not_a_folder(folder, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert code_of(ei.run_study, folder.study, tmp_path / "file") == "EI-R13"
    assert code_of(ei.run_study, folder.study, tmp_path / "file" / "out") == "EI-R13"


@pytest.mark.parametrize("force", [False, True])
def test_a_failure_restores_what_was_there(folder, out, monkeypatch, force):
    if force:
        ei.run_study(folder.study, out)
        before = (out / "manifest.json").read_bytes()

    def fail(*args, **named):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("exportimpact.study.manifest.write", fail)
    with pytest.raises(OSError, match="No space"):
        ei.run_study(folder.study, out, force=force)
    if force:
        assert (out / "manifest.json").read_bytes() == before
        assert [p.name for p in out.parent.iterdir()] == ["fairs"]
    else:
        assert not out.parent.exists()


def test_a_failing_rename_restores_the_old_folder(folder, out, monkeypatch):
    ei.run_study(folder.study, out)
    before = (out / "manifest.json").read_bytes()
    rename = Path.replace

    def fail(self, target):
        if self.name.endswith(".part"):
            raise PermissionError(13, "in use")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    assert code_of(ei.run_study, folder.study, out, force=True) == "EI-R13"
    assert (out / "manifest.json").read_bytes() == before
    assert [p.name for p in out.parent.iterdir()] == ["fairs"]


def test_a_failing_estimate_names_outcome_and_method(folder, out):
    # No firm that could serve as comparison reports sales.
    folder.change(
        "panel.csv", lambda f: f.assign(sales=f["sales"].where(f["firm_id"].astype(int) <= 30, ""))
    )
    with pytest.raises(ei.ExportImpactError, match="sales") as caught:
        ei.run_study(folder.study, out)
    assert caught.value.code.startswith("EI-")
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("home", "target", "expected"),
    [
        ("home/kim", "work/data/p.csv", "../data/p.csv"),
        ("work", "work/data/p.csv", "../data/p.csv"),
        ("home/kim", "home/kim/p.csv", None),
        ("home/kim", "home/lee/p.csv", None),
    ],
)
def test_paths_never_run_through_a_home(tmp_path, monkeypatch, home, target, expected):
    monkeypatch.setattr(Path, "home", lambda: tmp_path / home)
    assert relative_path(tmp_path / "work" / "out", tmp_path / target) == expected


def test_a_data_file_with_an_absolute_path_is_recorded_by_name(folder, out):
    absolute = (folder.path / "panel.csv").as_posix()
    folder.replace("study.toml", '"panel.csv"', f'"{absolute}"')
    ei.run_study(folder.study, out)
    text = (out / "manifest.json").read_text(encoding="utf-8")
    assert absolute not in text
    assert json.loads(text)["inputs"][0]["file"] == "panel.csv"
    assert ei.verify(out).ok


def test_an_unknown_demo(out):
    assert code_of(demo, "grant", out) == "EI-R14"
    assert not out.parent.exists()


def test_placebo_outcomes_are_estimated_as_the_headline_is(folder, out):
    folder.replace("study.toml", "[design]\n", '[design]\nplacebo = ["sales"]\n')
    evaluation = ei.run_study(folder.study, out).evaluation
    assert evaluation.outcomes == ("exports",)
    (found,) = (f for f in evaluation.findings["exports"] if f.id == "placebo_outcome")
    assert (found.estimator, found.assumption) == ("group_time", "parallel_trends_given_x")
    assert found.verdict in {"SUPPORTS", "CONTRADICTS"}
    assert "sales" in str(found.message)
    assert ei.verify(out).ok


def test_findings_on_a_match_stand_beside_an_unmatched_headline(folder, tmp_path):
    text = folder.study.read_text(encoding="utf-8")
    tables = '[[matching]]\nmatcher = "nearest"\nreplace = true\n\n[[estimators]]\nid = "benchmark"'
    folder.study.write_text(text.replace('[[estimators]]\nid = "benchmark"', tables), "utf-8")
    with folder.study.open("a", encoding="utf-8") as study:
        study.write('\n[[estimators]]\nid = "matched_difference"\n')
    checks = ei.run_study(folder.study, tmp_path / "out").evaluation.checks()
    about = checks[checks["statement"].str.startswith("Matched difference: ")]
    assert {"match_balance", "rosenbaum_bounds"} <= set(about["finding"])
