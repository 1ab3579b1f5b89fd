"""A verification re-performs a run; every kind of change is found, with a message of its own."""

from __future__ import annotations

import json
import shutil

import pytest

import exportimpact as ei
from exportimpact.cli import main
from exportimpact.errors import RunError
from exportimpact.study import demo
from exportimpact.study.manifest import own_hash
from exportimpact.study.verify import is_same

pytestmark = pytest.mark.usefixtures("plain_report")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, made_study, made_report):
    """One run for all tests, which work on copies."""
    root = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exportimpact.report.render", made_report)
        ei.run_study(made_study(root / "input").study, root / "out")
    return root


@pytest.fixture
def folder(finished, tmp_path, made_study):
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return made_study(tmp_path / "input")


@pytest.fixture
def out(folder):
    return folder.path.parent / "out"


def kinds(found):
    return set(found.differences["kind"])


def texts(found, kind):
    rows = found.differences
    return " ".join(rows.loc[rows["kind"] == kind, "message"])


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8", newline="\n")


def test_an_untouched_run_is_verified(out, capsys):
    found = ei.verify(out)
    assert found.ok
    assert found.differences.empty
    assert set(found.matches["kind"]) == {"manifest", "study", "output", "input", "seal", "number"}
    assert main(["verify", str(out)]) == 0
    assert "Everything is as recorded." in capsys.readouterr().out


def test_one_number_in_an_input(folder, out, capsys):
    folder.change("panel.csv", lambda f: f.assign(exports=[*f["exports"][:-1], "99.5"]))
    found = ei.verify(out)
    assert kinds(found) == {"input", "number"}  # after every base period: the seal stays
    assert "panel.csv is not the file that was evaluated" in texts(found, "input")
    assert main(["verify", str(out)]) == 1
    assert "panel.csv is not the file" in capsys.readouterr().out


def test_one_number_before_support_breaks_the_seal(folder, out):
    folder.change("panel.csv", lambda f: f.assign(exports=["99.5", *f["exports"][1:]]))
    found = ei.verify(out)
    assert {"input", "seal", "number"} == kinds(found)
    assert "exports has another seal" in texts(found, "seal")


def test_one_word_in_the_study_file(out):
    edit(out / "study.toml", '"regression"', '"weighting"')
    found = ei.verify(out)
    assert {"study", "number"} <= kinds(found)
    assert "study.toml was edited" in texts(found, "study")


def test_a_comment_in_the_study_file_changes_no_number(out):
    edit(out / "study.toml", "schema = 1", "schema = 1  # checked")
    assert kinds(ei.verify(out)) == {"study"}


def test_a_study_file_that_no_longer_runs(out):
    edit(out / "study.toml", '"regression"', '"regresion"')
    found = ei.verify(out)
    assert kinds(found) == {"study", "run"}
    assert "EI-S09" in texts(found, "run")


@pytest.fixture
def matched(folder, tmp_path):
    """A run with a match, and the folder of its inputs."""
    with folder.study.open("a", encoding="utf-8") as file:
        file.write(
            '[[matching]]\nmatcher = "nearest"\nreplace = true\n'
            '[[estimators]]\nid = "matched_difference"\n'
        )
    ei.run_study(folder.study, tmp_path / "matched")
    return tmp_path / "matched"


def test_seals_of_matched_designs_are_compared(folder, matched):
    found = ei.verify(matched)
    assert found.ok
    seals = found.matches.query("kind == 'seal'")["place"].tolist()
    assert seals == ["exports", "sales", "exports, matched", "sales, matched"]
    edit(matched / "study.toml", "replace = true", "replace = true\nratio = 2")
    found = ei.verify(matched)
    assert {"study", "seal", "number"} <= kinds(found)
    assert "The design for exports, matched, has another seal" in texts(found, "seal")
    assert found.differences.query("kind == 'seal'")["place"].tolist() == seals[2:]


def test_a_match_that_was_added_or_renamed_is_found(matched):
    edit(matched / "study.toml", 'matcher = "nearest"', 'name = "other"\nmatcher = "nearest"')
    said = texts(ei.verify(matched), "seal")
    assert "The design for exports, matched, has another seal" in said
    assert "a design that the record lacks: exports, other" in said


def test_a_changed_number_of_a_matched_rung_is_found(matched):
    def change(record):
        row = next(n for n in record["numbers"] if "matched_difference" in n["place"])
        row["value"] = 1e9

    found = changed_manifest(matched, change, rehash=True)
    assert kinds(found) == {"number"}
    assert "matched_difference" in texts(found, "number")


def test_a_missing_study_file(out):
    (out / "study.toml").unlink()
    found = ei.verify(out)
    assert kinds(found) == {"study", "run"}
    assert "missing" in texts(found, "study")


@pytest.mark.parametrize(
    ("name", "old", "new"), [("report.html", "0", "9"), ("tables/ladder.csv", "1.0", "1.1")]
)
def test_one_digit_in_a_result(out, name, old, new):
    edit(out / name, old, new)
    found = ei.verify(out)
    assert kinds(found) == {"output"}
    assert f"{name} was edited" in texts(found, "output")


def test_a_result_that_is_gone(out):
    shutil.rmtree(out / "tables")
    found = ei.verify(out)
    assert kinds(found) == {"output"}
    assert "missing" in texts(found, "output")


def changed_manifest(out, change, *, rehash):
    path = out / "manifest.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    if rehash:
        record["sha256"] = own_hash(record)
    path.write_text(json.dumps(record), encoding="utf-8")
    return ei.verify(out)


def nudge(record):
    row = next(n for n in record["numbers"] if n["kind"] == "estimate" and n["value"])
    row["value"] *= 1 + 1e-6
    return row["place"]


@pytest.mark.parametrize("rehash", [False, True])
def test_one_number_in_the_manifest(out, rehash):
    places = []
    found = changed_manifest(out, lambda r: places.append(nudge(r)), rehash=rehash)
    assert kinds(found) == ({"number"} if rehash else {"manifest", "number"})
    assert places[0] in texts(found, "number")


def test_a_number_that_the_record_lacks(out):
    found = changed_manifest(out, lambda r: r["numbers"].pop(), rehash=True)
    assert kinds(found) == {"number"}
    assert "no such number" in texts(found, "number")


def test_time_host_and_versions_are_not_compared(out):
    assert changed_manifest(out, lambda r: r["environment"].clear(), rehash=False).ok


def test_data_that_moved(folder, out, tmp_path):
    moved = tmp_path / "archive"
    shutil.move(folder.path, moved)
    with pytest.raises(RunError, match=r"panel\.csv") as caught:
        ei.verify(out)
    assert caught.value.code == "EI-V03"
    assert main(["verify", str(out)]) == 2
    assert ei.verify(out, data=moved).ok
    with pytest.raises(RunError, match="names one"):
        ei.verify(out, data=moved / "panel.csv")
    with pytest.raises(RunError, match="does not exist"):
        ei.verify(out, data=tmp_path / "nowhere")


def test_the_whole_folder_can_move(tmp_path):
    demo("grants", tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    assert ei.verify(tmp_path / "there").ok


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "EI-V01"), ("{", "EI-V02"), ('{"package": "exportimpact"}', "EI-V02")],
)
def test_folders_without_a_usable_record(tmp_path, content, code):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content, encoding="utf-8")
    with pytest.raises(RunError) as caught:
        ei.verify(tmp_path)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("kind", "recorded", "found", "error", "same"),
    [
        ("estimate", 1.0, 1.0 + 9e-9, None, True),
        ("estimate", 1.0, 1.0 + 2e-8, None, False),
        ("estimate", 1.0, 1.0 + 2e-8, 10.0, True),
        ("estimate", 0.0, 1e-12, 1e-3, True),
        ("estimate", None, None, None, True),
        ("estimate", None, 0.0, None, False),
        ("estimate", "inf", "inf", None, True),
        ("p_value", 1e-9, 9e-9, None, True),
        ("p_value", 0.5, 0.5 + 2e-8, None, False),
        ("count", 3, 3, None, True),
        ("count", 3, 4, None, False),
        ("text", "a", "a", None, True),
        ("text", "1", 1, None, False),
    ],
)
def test_when_numbers_are_the_same(kind, recorded, found, error, same):
    row = {"kind": kind, "std_error": error}
    assert is_same({**row, "value": recorded}, {**row, "value": found}) is same
