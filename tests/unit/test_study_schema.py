"""The study file: what is wrong with it is said by line and key, all at once, before a run."""

from __future__ import annotations

import pandas as pd
import pytest

from exportimpact.errors import ExportImpactError
from exportimpact.study.assemble import load, plan
from exportimpact.study.file import read_study
from exportimpact.study.lines import key_lines


def problems(folder):
    with pytest.raises(ExportImpactError) as caught:
        read_study(folder.study)
    error = caught.value
    return getattr(error, "problems", ()) or (error,)


WRONG = [
    (
        "comparison",
        "[design]\n",
        '[design]\ncomparison = "nevr"\n',
        "EI-S04",
        "[design] comparison",
    ),
    ("key", 'unit = "firm_id"', 'unit = "firm_id"\nfreqency = "year"', "EI-S02", "[data] freqency"),
    ("table", "[design]", "[desing]", "EI-S02", "desing"),
    ("missing", 'question = "Did fairs raise exports?"\n', "", "EI-S03", "[study] question"),
    ("type", "[design]\n", "[design]\nanticipation = true\n", "EI-S04", "[design] anticipation"),
    ("number", "[design]\n", "[design]\nanticipation = -1\n", "EI-S04", "[design] anticipation"),
    ("list", 'covariates = ["employees"]', "covariates = [1]", "EI-S04", "[design] covariates"),
    ("file", "awards.csv", "award.csv", "EI-S05", "[support] file"),
    ("filetype", "panel.csv", "panel.sav", "EI-S06", "[data] panel"),
    ("estimator", '"group_time"', '"grouptime"', "EI-S08", "[[estimators]] 2 id"),
    ("parameter", 'adjust = "regression"', "adjst = 1", "EI-S09", "[[estimators]] 2 adjst"),
    ("value", '"regression"', '"regresion"', "EI-S09", "[[estimators]] 2 adjust"),
    ("schema", "schema = 1", "schema = 2", "EI-S10", "schema"),
    (
        "covariate",
        '= ["employees"]\n\n[[est',
        '= ["employes"]\n\n[[est',
        "EI-S12",
        "[design] covariates",
    ),
    ("outcome", "[design]\n", '[design]\noutcomes = ["export"]\n', "EI-S12", "[design] outcomes"),
    ("scale", 'scale = "log"', 'scale = "log"\nafter_exit = "zero"', "EI-P21", "[[outcomes]] 2"),
    ("neither", 'start = "award_year"\n', "", "EI-S03", "[support] start"),
    (
        "both",
        'start = "award_year"',
        'start = "a"\nfirst_period = "b"',
        "EI-S04",
        "[support] first_period",
    ),
    ("spells", "start =", 'amount = "krw"\nfirst_period =', "EI-S04", "[support] amount"),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "key"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG]
)
def test_each_problem_has_code_line_and_key(folder, old, new, code, key):
    folder.replace("study.toml", old, new)
    found = problems(folder)
    assert [p.code for p in found] == [code]
    assert found[0].details["key"] == key
    text = folder.study.read_text(encoding="utf-8").split("\n")
    line = text[found[0].details["line"] - 1]
    assert key.split(" ")[-1] in line or line.startswith("["), line
    assert f"line {found[0].details['line']}" in found[0].message


MATCH = """
[[matching]]
matcher = "nearest"
caliper = 0.5
exact = ["employees"]
thresholds = { smd = 0.2 }

[[estimators]]
id = "matched_difference"
"""

WRONG_MATCHES = [
    ("matcher", '"nearest"', '"neerest"', "EI-S04", "[[matching]] 1 matcher"),
    ("option", "caliper = 0.5", "calliper = 0.5", "EI-S09", "[[matching]] 1 calliper"),
    ("value", "caliper = 0.5", 'caliper = "wide"', "EI-S09", "[[matching]] 1 caliper"),
    ("refused", "caliper = 0.5", "caliper = -1.0", "EI-S09", "[[matching]] 1 matcher"),
    ("object", "caliper = 0.5", 'classifier = "forest"', "EI-S09", "[[matching]] 1 classifier"),
    ("limit", "smd = 0.2", "smdd = 0.2", "EI-S02", "[[matching]] 1 thresholds smdd"),
    ("range", "smd = 0.2", "variance_ratio = [2, 3]", "EI-M02", "[[matching]] 1 thresholds"),
    ("lags", "caliper = 0.5", "lags = -1", "EI-S04", "[[matching]] 1 lags"),
    ("column", '["employees"]', '["employes"]', "EI-S12", "[[matching]] 1 exact"),
    (
        "name",
        "_difference",
        '_difference"\nmatching = "mached',
        "EI-S12",
        "[[estimators]] 3 matching",
    ),
    ("unused", "matched_difference", "benchmark", "EI-S14", "[[matching]] 1 name"),
    (
        "not matched",
        "matched_difference",
        'benchmark"\nmatching = "matched',
        "EI-S14",
        "[[estimators]] 3 matching",
    ),
    (
        "several",
        "\n[[matching]]",
        '\n[[matching]]\nname = "exactly"\nmatcher = "exact"\n[[matching]]',
        "EI-S14",
        "[[estimators]] 3 matching",
    ),
    (
        "twice",
        "\n[[matching]]",
        '\n[[matching]]\nmatcher = "exact"\n[[matching]]',
        "EI-S14",
        "[[matching]] 2 name",
    ),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "key"),
    [w[1:] for w in WRONG_MATCHES],
    ids=[w[0] for w in WRONG_MATCHES],
)
def test_each_problem_of_a_match_has_code_line_and_key(folder, old, new, code, key):
    with folder.study.open("a", encoding="utf-8") as file:
        file.write(MATCH.replace(old, new, 1))
    found = problems(folder)
    assert [(p.code, p.details["key"]) for p in found] == [(code, key)]
    text = folder.study.read_text(encoding="utf-8").split("\n")
    line = text[found[0].details["line"] - 1]
    assert key.split(" ")[-1] in line or line.startswith("[["), line


def test_estimators_that_compare_matched_firms_use_the_only_match(folder):
    with folder.study.open("a", encoding="utf-8") as file:
        file.write(MATCH)
    made = read_study(folder.study)
    assert made.uses == (None, None, "matched")
    assert made.matches[0].matcher.exact == ("employees",)
    assert (made.matches[0].thresholds.smd, made.matches[0].thresholds.kept) == (0.2, 0.95)


def test_without_a_match_they_are_refused(folder):
    folder.replace("study.toml", '"benchmark"', '"weighting"')
    assert [(p.code, p.details["key"]) for p in problems(folder)] == [
        ("EI-S14", "[[estimators]] 1 matching")
    ]


def test_without_estimators_every_match_has_levels_and_changes(folder):
    text = folder.study.read_text(encoding="utf-8")
    match = '[[matching]]\nname = "twins"\nmatcher = "optimal"\n'
    folder.study.write_text(text[: text.index("[[estimators]]")] + match, encoding="utf-8")
    made = read_study(folder.study)
    assert made.uses == (None, None, "twins", "twins")
    assert [str(e.reached) for e in made.estimators[2:]] == ["V-a", "V-b"]


def test_problems_are_collected(folder):
    folder.replace("study.toml", "panel.csv", "panels.csv")
    folder.replace("study.toml", '"benchmark"', '"benchmrk"')
    folder.replace("study.toml", "[design]\n", '[design]\noutcomes = ["sale"]\n')
    found = problems(folder)
    assert {p.code for p in found} == {"EI-S05", "EI-S08", "EI-S12"}
    assert all("Did you mean" in p.message for p in found)


@pytest.mark.parametrize(
    ("content", "code"), [(b"schema = = 1", "EI-S01"), ('title = "부"'.encode("cp949"), "EI-S07")]
)
def test_a_file_that_cannot_be_read(folder, content, code):
    folder.study.write_bytes(content)
    found = problems(folder)
    assert found[0].code == code
    assert "line 1" in found[0].message


def test_a_byte_order_mark_and_windows_lines_are_read(folder):
    text = folder.study.read_text(encoding="utf-8").replace("\n", "\r\n")
    folder.study.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_study(folder.study).study.evaluated == ("exports", "sales")


def test_lines_see_through_values_that_span_lines():
    text = '''a = """
[x]
b = 1"""
list = [
  "c = 2", # d = 3
  ']',
]
"e f" = 1
g.h = {i = [1,
2]}
[[t]]
[[t.u]]
k = 1
[[t]]
[[t.u]]
k = 1
'''
    found = key_lines(text)
    paths = [("a",), ("list", 1), ("e f",), ("g", "h", "i"), ("t", 1, "u", 0, "k")]
    assert [found.of(p) for p in paths] == [1, 4, 8, 9, 16]
    assert ("b",) not in found.lines


def test_without_estimators_step_four_stands_beside_group_time(folder):
    text = folder.study.read_text(encoding="utf-8")
    folder.study.write_text(text[: text.index("[[estimators]]")], encoding="utf-8")
    made = read_study(folder.study).estimators
    assert [e.spec.id for e in made] == ["benchmark", "group_time"]
    assert made[1].adjust == "doubly_robust"


def test_the_plan_holds_what_was_asked(folder):
    folder.study.write_text(
        folder.study.read_text(encoding="utf-8")
        + '[[objectives]]\noutcome = "exports"\ntarget = 5.0\nunit = "%"\n'
        "[output]\nexternal_effect = 0.05\ndeclared_effects = { exports = 1.5 }\n",
        encoding="utf-8",
    )
    made = plan(read_study(folder.study).study)
    assert made.question == "Did fairs raise exports?"
    assert made.objectives[0].target == 5.0
    assert (made.external_effect, dict(made.declared_effects)) == (0.05, {"exports": 1.5})


def firms(folder):
    return load(read_study(folder.study)).panel.units


def test_whole_ids_become_integers(folder):
    assert firms(folder).dtype == "int64"


def test_one_leading_zero_keeps_all_ids_text(folder):
    for file in ("panel.csv", "awards.csv"):
        folder.change(file, lambda f: f.assign(firm_id=f["firm_id"].str.zfill(4)))
    inputs = load(read_study(folder.study))
    assert inputs.panel.units[0] == "0001"
    assert int(inputs.support.align(inputs.panel).linkage["linked"].sum()) == 30


@pytest.mark.parametrize("suffix", ["parquet", "xlsx"])
def test_other_file_types_give_the_same_panel(folder, suffix):
    before = load(read_study(folder.study)).panel.fingerprint
    frame = pd.read_csv(folder.path / "panel.csv")
    path = folder.path / f"panel.{suffix}"
    frame.to_parquet(path) if suffix == "parquet" else frame.to_excel(path, index=False)
    folder.replace("study.toml", "panel.csv", path.name)
    assert load(read_study(folder.study)).panel.fingerprint == before


def test_hangul_columns_in_cp949_and_utf8_with_mark(folder):
    for file, encoding in (("panel.csv", "cp949"), ("awards.csv", "utf-8-sig")):
        frame = pd.read_csv(folder.path / file).rename(columns={"firm_id": "기업"})
        frame.to_csv(folder.path / file, index=False, encoding=encoding)
    folder.replace("study.toml", '"firm_id"', '"기업"\nencoding = "cp949"')
    folder.replace("study.toml", '"awards.csv"', '"awards.csv"\nencoding = "utf-8"')
    assert len(firms(folder)) == 80


def test_a_panel_in_several_files(folder):
    before = load(read_study(folder.study)).panel.fingerprint
    frame = pd.read_csv(folder.path / "panel.csv")
    for name, rows in (("a.csv", frame["year"] < 2017), ("b.csv", frame["year"] >= 2017)):
        frame[rows].to_csv(folder.path / name, index=False)
    folder.replace("study.toml", '"panel.csv"', '["a.csv", "b.csv"]')
    assert load(read_study(folder.study)).panel.fingerprint == before


@pytest.mark.parametrize(
    ("frequency", "write"),
    [("year", "{y}-12-31"), ("quarter", "{y}Q4"), ("month", "{y}-12")],
)
def test_dates_quarters_and_months_in_text(folder, frequency, write):
    for file, column in (("panel.csv", "year"), ("awards.csv", "award_year")):
        folder.change(file, lambda f, c=column: f.assign(**{c: [write.format(y=y) for y in f[c]]}))
    folder.replace("study.toml", 'period = "year"', f'period = "year"\nfrequency = "{frequency}"')
    assert load(read_study(folder.study)).panel.calendar.frequency == frequency


def test_codes_are_text_where_declared(folder):
    folder.change(
        "panel.csv", lambda f: f.assign(sector=[f"{int(i) % 3:02d}" for i in f["firm_id"]])
    )
    folder.replace(
        "study.toml", 'baseline = ["employees"]', 'baseline = ["sector"]\ncategorical = ["sector"]'
    )
    folder.replace("study.toml", 'covariates = ["employees"]', 'covariates = ["sector"]')
    assert load(read_study(folder.study)).panel.baseline("sector").categories == ("00", "01", "02")


def test_panel_and_awards_are_refused_together(folder):
    folder.change("panel.csv", lambda f: pd.concat([f, f.head(1)]))
    folder.change("awards.csv", lambda f: f.assign(award_year="9999"))
    with pytest.raises(ExportImpactError) as caught:
        load(read_study(folder.study))
    assert {p.code[:4] for p in caught.value.problems} == {"EI-P", "EI-A"}


# Placebo outcomes ---------------------------------------------------------------------------------


def test_placebo_outcomes_are_not_evaluated(folder):
    folder.replace("study.toml", "[design]\n", '[design]\nplacebo = "sales"\n')
    study = read_study(folder.study).study
    assert (study.evaluated, study.design.placebo) == (("exports",), ("sales",))


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ('placebo = ["sale"]', "EI-S12"),
        ('placebo = ["exports", "sales"]', "EI-S04"),
        ('outcomes = ["sales"]\nplacebo = ["sales"]', "EI-S04"),
    ],
    ids=["not declared", "nothing left", "evaluated too"],
)
def test_placebo_outcomes_that_cannot_be_meant(folder, written, code):
    folder.replace("study.toml", "[design]\n", f"[design]\n{written}\n")
    found = problems(folder)
    assert {p.code for p in found} == {code}
    assert "[design] placebo" in found[0].message
