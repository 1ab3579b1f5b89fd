"""A study file asks for subgroups, margins, doses, and methods for some outcomes only."""

from __future__ import annotations

import pandas as pd
import pytest

import exportimpact as ei
from exportimpact.core.exhibit import Exhibit
from exportimpact.errors import ExportImpactError
from exportimpact.report.shown import MOST_ROWS, _grid
from exportimpact.study.file import read_study
from exportimpact.study.perform import perform

SUBGROUPS = '\n[[subgroups]]\ncolumn = "employees"\nquantiles = [0.5]\nadjust = "none"\n'
MATCH = '\n[[matching]]\nname = "twins"\nmatcher = "nearest"\nreplace = true\n'
MARGINS = '\n[[margins]]\noutcome = "exports"\nevent_time = 0\n'


def add(folder, text):
    with folder.study.open("a", encoding="utf-8") as file:
        file.write(text)


def shown(folder, outcome="exports"):
    return {e.id: e for e in perform(read_study(folder.study)).evaluation.exhibits[outcome]}


def test_subgroups_are_those_of_the_headline(folder):
    add(folder, SUBGROUPS)
    done = perform(read_study(folder.study))
    made = {e.id: e for e in done.evaluation.exhibits["exports"]}
    headline = done.evaluation.headline("exports").result
    direct = ei.subgroups(
        ei.did.GroupTime(adjust="regression"),
        headline.design,
        "employees",
        quantiles=[0.5],
        adjust="none",
    )
    table = made["subgroups_employees"].table
    pd.testing.assert_frame_equal(table[direct.table().columns][:2], direct.table())
    assert table["estimate"].iloc[2] == pytest.approx(headline.overall("simple").estimate)
    assert made["interactions_employees"].table["estimate"].sum() == pytest.approx(0)


def test_a_subgroup_without_an_effect_is_shown_with_the_reason(folder):
    add(folder, SUBGROUPS.replace("quantiles = [0.5]", "bins = [5000]"))
    (row,) = shown(folder)["subgroups_employees"].table.itertuples()
    assert row.code == "EI-E60"
    assert "Outcome 'exports', subgroups by 'employees'" in row.reason


def test_cut_points_that_cannot_be_used_stop_the_run(folder):
    add(folder, SUBGROUPS.replace("quantiles = [0.5]", "bins = [50, 10]"))
    with pytest.raises(ExportImpactError, match="EI-E53"):
        perform(read_study(folder.study))


def test_margins_use_a_match_that_no_estimator_uses(folder):
    folder.replace("study.toml", 'scale = "log"', 'scale = "level"')
    add(folder, MATCH + MARGINS)
    done = perform(read_study(folder.study))
    made = {e.id: e for e in done.evaluation.exhibits["exports"]}
    direct = ei.margins(done.matched["exports", "twins"], event_time=0)
    assert made["margins_1"].table["estimate"].equals(direct.table()["estimate"])


def test_margins_of_an_event_time_that_is_not_there_are_shown_with_the_reason(folder):
    folder.replace("study.toml", 'scale = "log"', 'scale = "level"')
    add(folder, MATCH + MARGINS.replace("= 0", "= 40"))
    assert shown(folder)["margins_1"].table["code"].tolist() == ["EI-E57"]


@pytest.mark.parametrize(
    ("text", "code", "key"),
    [
        (SUBGROUPS.replace("employees", "employes"), "EI-S12", "[[subgroups]] 1 column"),
        (SUBGROUPS.replace('"none"', '"non"'), "EI-S04", "[[subgroups]] 1 adjust"),
        (MARGINS, "EI-S14", "[[margins]] 1 matching"),
        (MATCH + MARGINS + 'matching = "twin"\n', "EI-S12", "[[margins]] 1 matching"),
        (MATCH + MARGINS + 'tighten = "sector"\n', "EI-S12", "[[margins]] 1 tighten"),
        (MATCH + MARGINS.replace("exports", "x"), "EI-S12", "[[margins]] 1 outcome"),
    ],
)
def test_names_have_to_be_declared(folder, text, code, key):
    add(folder, text)
    with pytest.raises(ExportImpactError) as caught:
        read_study(folder.study)
    assert [(p.code, p.details["key"]) for p in caught.value.problems] == [(code, key)]


def test_an_estimator_is_for_the_outcomes_that_it_names(folder):
    add(folder, '\n[[estimators]]\nid = "two_period"\noutcomes = "sales"\n')
    results = perform(read_study(folder.study)).results
    made = [(r.estimand.outcome, r.provenance.estimator) for r in results]
    assert ("sales", "two_period") in made
    assert ("exports", "two_period") not in made


@pytest.mark.parametrize(
    ("named", "code"), [('"sale"', "EI-S12"), ('"sales"', "EI-S14")], ids=["unknown", "left out"]
)
def test_every_outcome_has_an_estimator(folder, named, code):
    for id in ('"benchmark"', '"group_time"'):
        folder.replace("study.toml", id, f"{id}\noutcomes = {named}")
    with pytest.raises(ExportImpactError) as caught:
        read_study(folder.study)
    assert code in {p.code for p in caught.value.problems}


def test_amounts_that_are_zero_after_exit_get_a_poisson_model(folder):
    text = folder.study.read_text(encoding="utf-8")
    text = text[: text.index("[[estimators]]")]
    folder.study.write_text(text, encoding="utf-8")
    folder.replace("study.toml", 'name = "exports"', 'name = "exports"\nafter_exit = "zero"')
    methods = read_study(folder.study).study.methods
    assert [m.id for m in methods] == ["benchmark", "poisson_saturated", "group_time"]
    assert methods[1].outcomes == ("exports",)


def test_doses_in_the_panel_file(folder):
    def with_doses(panel):
        awards = pd.read_csv(folder.path / "awards.csv").set_index("firm_id")["award_year"]
        first = panel["firm_id"].astype(int).map(awards)
        return panel.assign(dose=(panel["year"].astype(int) >= first).astype(int) * 2)

    spells = perform(read_study(folder.study)).results[1]
    folder.change("panel.csv", with_doses)
    folder.replace("study.toml", "awards.csv", "panel.csv")
    folder.replace("study.toml", 'start = "award_year"', 'dose = "dose"')
    add(folder, '\n[[estimators]]\nid = "intertemporal"\nnormalized = true\n')
    done = perform(read_study(folder.study))
    assert done.results[1].table()["estimate"].equals(spells.table()["estimate"])
    doses = next(r for r in done.results if r.provenance.estimator == "intertemporal")
    assert doses.estimand.per_unit
    assert [t.name for t in done.inputs.tables] == ["panel.csv"]


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('dose = "d"\namount = "krw"', "[support] amount"),
        ('start = "award_year"\nalready = "keep"', "[support] already"),
    ],
)
def test_keys_of_another_kind_of_support_are_refused(folder, written, key):
    folder.replace("study.toml", 'start = "award_year"', written)
    with pytest.raises(ExportImpactError) as caught:
        read_study(folder.study)
    assert [(p.code, p.details["key"]) for p in caught.value.problems] == [("EI-S04", key)]


def test_percentage_points_are_shown_as_such():
    units = dict.fromkeys(("estimate", "std_error"), "pp")
    table = pd.DataFrame({"subgroup": ["a"], "estimate": [0.0231], "std_error": [0.5], "n": [3]})
    assert len(table) <= MOST_ROWS
    grid = _grid(Exhibit("differences", "differences", table, units), "x")
    assert [header for header, _ in grid.headers[1:3]] == ["Effect, pp", "Standard error"]
    assert grid.rows[0][1:3] == ("2.31", "50.0")


TESTS = '\n[[tests]]\ntest = "wild_cluster"\n\n[[tests]]\ntest = "randomisation"\ndraws = 99\n'
SENSITIVITY = '\n[[sensitivity]]\nvalues = [0.5, 1]\ntarget = "average"\n'


def test_sensitivity_is_that_of_the_headline(folder):
    add(folder, SENSITIVITY)
    done = perform(read_study(folder.study))
    (made,) = (e for e in done.evaluation.exhibits["exports"] if e.kind == "sensitivity")
    head = done.evaluation.headline("exports").result
    direct = ei.sensitivity(head, values=[0.5, 1], target="average")
    pd.testing.assert_frame_equal(made.table[direct.table().columns], direct.table())
    assert "sensitivity" not in {f.id for f in done.evaluation.findings["exports"]}


def test_sensitivity_of_a_method_without_common_reference_is_shown_with_the_reason(folder):
    add(folder, SENSITIVITY)
    folder.replace("study.toml", "[design]", '[design]\nbase = "varying"')
    assert shown(folder)["sensitivity_1"].table["code"].tolist() == ["EI-I22"]


def test_tests_stand_beside_the_interval_of_the_ladder(folder):
    add(folder, TESTS)
    done = perform(read_study(folder.study))
    (made,) = (e for e in done.evaluation.exhibits["exports"] if e.kind == "tests")
    head = done.evaluation.headline("exports").result
    direct = ei.wild_cluster_test(head)
    assert made.table["ci_low"].tolist()[:2] == [head.overall().ci_low, direct.ci_low]
    assert made.table["draws"].tolist()[1:] == [999, 99]
    assert made.table["p_value"].iloc[2] < 0.05


def test_a_test_that_the_data_refuse_is_shown_with_the_reason(folder):
    add(folder, '\n[[tests]]\ntest = "wild_cluster"\n')
    folder.change("awards.csv", lambda awards: awards[:2])
    made = {e.id: e for e in perform(read_study(folder.study)).evaluation.exhibits["exports"]}
    assert made["tests_1"].table["code"].tolist() == ["EI-I30"]
    assert "tests" not in made


def test_families_adjust_headlines_together(folder):
    add(folder, '\n[[families]]\nname = "size"\noutcomes = ["exports", "sales"]\nmethod = "holm"\n')
    done = perform(read_study(folder.study))
    (made,) = (e for e in done.evaluation.exhibits["exports"] if e.kind == "family")
    heads = [done.evaluation.headline(o).result for o in ("exports", "sales")]
    direct = ei.adjust({"size": heads}, method="holm")
    pd.testing.assert_frame_equal(made.table[direct.columns], direct)
    assert not any(e.kind == "family" for e in done.evaluation.exhibits["sales"])


def test_equivalence_of_trends_is_that_of_the_headline(folder):
    add(folder, '\n[[equivalence]]\noutcome = "exports"\nmargin = 50.0\n')
    done = perform(read_study(folder.study))
    (made,) = (e for e in done.evaluation.exhibits["exports"] if e.kind == "equivalence")
    direct = ei.equivalence_test(done.evaluation.headline("exports").result, 50.0)
    pd.testing.assert_frame_equal(made.table, direct.table())
    assert made.notes == (direct.statement,)
