"""Every example runs, in a folder of its own, and says what it promises."""

from __future__ import annotations

import re
import runpy
import shutil
from pathlib import Path

import pytest

import exportimpact as ei

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAYS = {
    "01_grants.py": ["sealed", "CONCERN", "Open grants_report/report.html"],
    "03_own_estimator.py": ["conforms"],
    "04_wrap_pyfixest.py": [],  # another package's: it only has to declare itself rightly here
    "05_matched_vouchers.py": [
        "Limits missed: none",
        "nearest firms",
        "matched_report/report.html",
    ],
    "06_did_estimators.py": [
        "Known effect: 0.210",
        "Joint test that all estimates are equal",
        "did_report/report.html",
    ],
}


def test_every_example_is_run():
    scripts = {path.name for path in EXAMPLES.glob("*.py")}
    assert scripts == set(SAYS)
    assert [path.parent.name for path in EXAMPLES.glob("*/study.toml")] == ["02_vouchers"]


def run_page(name):
    """Run all code of a how-to, one block after the other; return its names."""
    page = EXAMPLES.parent / "docs" / "how-to" / name
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    names = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    return names


def test_the_code_of_the_matching_how_to_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page("choose-a-matcher.md")
    assert names["better"].terms.missed == ()
    assert names["design"].balance()["smd_after"].isna().all()


def test_the_code_of_the_did_how_to_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page("choose-a-did-estimator.md")
    truth = names["bench"].truth.value(names["results"][0].overall().estimand)
    contrast = names["contrast"].overall()
    assert contrast.ci_high < truth  # what the page says of the two-way regression
    assert all(r.overall().ci_low < truth < r.overall().ci_high for r in names["results"][1:])


def test_the_code_of_the_how_to_on_trends_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = run_page("allow-trends-to-differ.md")
    assert 0 < names["found"].breakdown < 1
    assert (tmp_path / "sensitivity.svg").exists()


@pytest.mark.parametrize("name", sorted(SAYS))
def test_scripts(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    out = capsys.readouterr().out
    missing = [words for words in SAYS[name] if words not in out]
    assert not missing, out


@pytest.mark.parametrize(
    ("page", "name"),
    [
        ("add-an-estimator.md", "03_own_estimator.py"),
        ("wrap-another-package.md", "04_wrap_pyfixest.py"),
    ],
)
def test_the_file_of_a_how_to_is_the_example(page, name):
    text = (EXAMPLES.parent / "docs" / "how-to" / page).read_text(encoding="utf-8")
    shown = text.split("```python\n", 1)[1].split("```", 1)[0].strip()
    assert shown.startswith("from __future__")
    assert shown in (EXAMPLES / name).read_text(encoding="utf-8")


def test_the_voucher_study(tmp_path, plain_report):
    folder = shutil.copytree(EXAMPLES / "02_vouchers", tmp_path / "02_vouchers")
    runpy.run_path(str(folder / "write_data.py"))
    run = ei.run_study(folder / "study.toml", tmp_path / "report")
    assert run.evaluation.primary == "exporting"
    assert set(run.evaluation.ladder("exports")["step"]) == {"IV", "V-a", "V-b"}
    assert not run.evaluation.brackets().empty
    assert list(run.evaluation.objectives()["target"]) == [1.0]
