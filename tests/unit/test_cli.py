"""The command line: exit codes, what goes to which stream, and nothing left behind on bad input."""

from __future__ import annotations

import os
import subprocess
import sys

import pandas as pd
import pytest

from exportimpact.cli import main


def run(folder, *more):
    return main(["run", str(folder.study), "--out", str(folder.path.parent / "out"), *more])


def left_behind(folder):
    return [p.name for p in folder.path.parent.iterdir() if p != folder.path]


def test_a_run_prints_effects_and_where_the_report_is(folder, capsys):
    assert run(folder) == 0
    out, err = capsys.readouterr()
    assert err == ""  # quiet in a pipe
    lines = out.replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert lines[0] == "Trade fairs"
    assert [line.split()[0] for line in lines[2:6]] == ["exports", "exports", "sales", "sales"]
    assert "KRW m" in lines[2]
    assert " % (" in lines[2]
    assert "30" in lines[2].split()
    assert "report.html" in lines[6]
    assert left_behind(folder) == ["out"]
    written = folder.path.parent / "out"
    assert list((written / "figures").glob("*.svg"))
    first = (written / "tables" / "ladder.csv").read_bytes()
    assert run(folder, "--force") == 0
    assert (written / "tables" / "ladder.csv").read_bytes() == first


def column(name, values):
    return lambda f: f.assign(**{name: values(f)})


PANEL = {
    "duplicates": ("EI-P07", lambda f: pd.concat([f, f.iloc[[3]]])),
    "infinite": ("EI-P08", column("exports", lambda f: ["inf", *f["exports"][1:]])),
    "infinite covariate": ("EI-P08", column("employees", lambda f: ["-inf", *f["employees"][1:]])),
    "never reported": ("EI-P09", column("exports", lambda f: "")),
    "missing baseline": ("EI-P11", column("employees", lambda f: ["", *f["employees"][1:]])),
    "dates": ("EI-P13", column("year", lambda f: f["year"] + "-12-31")),
    "30 February": ("EI-P12", column("year", lambda f: f["year"] + "-02-30")),
    "text periods": ("EI-P12", column("year", lambda f: "FY" + f["year"])),
    "fractions": ("EI-P12", column("year", lambda f: f["year"] + ".5")),
    "leading zeros": ("EI-P15", column("firm_id", lambda f: ["0001", *f["firm_id"][1:]])),
    "spaces": ("EI-P15", column("firm_id", lambda f: ["1 ", *f["firm_id"][1:]])),
    "constant": ("EI-P14", column("employees", lambda f: "7")),
    "missing column": ("EI-P03", lambda f: f.rename(columns={"exports": "export"})),
    "column twice": ("EI-P04", lambda f: f.rename(columns={"sales": "exports"})),
    "no rows": ("EI-P02", lambda f: f.head(0)),
    "not numbers": ("EI-P23", column("exports", lambda f: "1.234,5")),
    "one period": ("EI-P26", lambda f: f[f["year"] == "2017"]),
}
AWARDS = {
    "9999": ("EI-A07", lambda f: pd.concat([f, pd.DataFrame([("50", "9999")], columns=f.columns)])),
    "zero": ("EI-A07", lambda f: pd.concat([f, pd.DataFrame([("50", "0")], columns=f.columns)])),
    "1900-01-01": ("EI-A07", column("award_year", lambda f: "1900-01-01")),
    "nobody linked": ("EI-A15", column("firm_id", lambda f: "9" + f["firm_id"].str.zfill(5))),
    "no award": ("EI-A02", lambda f: f.head(0)),
    "no start": ("EI-A05", column("award_year", lambda f: ["", *f["award_year"][1:]])),
    "missing column": ("EI-A03", lambda f: f.rename(columns={"award_year": "awardyear"})),
}
TABLES = [(("panel.csv", *v), f"panel: {k}") for k, v in PANEL.items()]
TABLES += [(("awards.csv", *v), f"awards: {k}") for k, v in AWARDS.items()]


@pytest.mark.parametrize(
    ("file", "code", "how"), [t[0] for t in TABLES], ids=[t[1] for t in TABLES]
)
def test_bad_tables_give_a_code_and_leave_nothing(folder, capsys, file, code, how):
    folder.change(file, how)
    assert run(folder) == 2
    out, err = capsys.readouterr()
    assert f"[{code}]" in err
    assert "Traceback" not in err
    assert out == ""
    assert left_behind(folder) == []


RAW = {
    "empty": (b"", "EI-S11"),
    "ragged": (b"firm_id,year,exports,sales,employees\n1,2015,2,3,4\n1,2016,2,3,4,5\n", "EI-S11"),
    "cp949": ("firm_id,연도\n1,2015\n".encode("cp949"), "EI-S07"),
    "binary": (bytes(range(256)), "EI-S07"),
}


@pytest.mark.parametrize(("content", "code"), RAW.values(), ids=RAW)
def test_files_that_are_no_tables(folder, capsys, content, code):
    (folder.path / "panel.csv").write_bytes(content)
    assert run(folder) == 2
    err = capsys.readouterr().err
    assert f"[{code}] panel.csv" in err
    assert left_behind(folder) == []
    if content == RAW["cp949"][0]:
        assert 'encoding = "cp949"' in err


def test_ids_with_zeros_in_one_file_only_are_not_linked_silently(folder, capsys):
    folder.change("panel.csv", lambda f: f.assign(firm_id=f["firm_id"].str.zfill(4)))
    assert run(folder) == 2
    err = capsys.readouterr().err
    assert "[EI-A15]" in err
    assert "0001" in err


def test_a_broken_study_file_is_told_by_line(folder, capsys):
    folder.replace("study.toml", 'scale = "log"', 'scale = "logs"')
    folder.replace("study.toml", "panel.csv", "pannel.csv")
    assert run(folder) == 2
    err = capsys.readouterr().err
    assert "2 problems" in err
    assert "study.toml, line 25, [[outcomes]] 2 scale" in err or "[[outcomes]] 2 scale" in err
    assert left_behind(folder) == []


def test_a_design_without_comparison_is_refused(folder, capsys):
    folder.replace("study.toml", "[design]\n", '[design]\ncomparison = "rejected"\n')
    assert run(folder) == 2
    assert "[EI-D05]" in capsys.readouterr().err
    assert left_behind(folder) == []


@pytest.mark.parametrize("name", ["NA", "한국 상사", "0081"])
def test_unusual_ids_work(folder, plain_report, name):
    for file in ("panel.csv", "awards.csv"):
        folder.change(file, lambda f: f.assign(firm_id=f["firm_id"].replace({"1": name})))
    assert run(folder) == 0


@pytest.mark.parametrize(
    "args", [["run"], ["run", "study.toml"], ["nosuch"], ["demo", "grans", "--out", "x"]]
)
def test_wrong_usage_is_two(capsys, args):
    assert main(args) == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("args", [["--help"], []])
def test_help_names_every_command(capsys, args):
    assert main(args) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("run", "demo", "verify", "explain", "versions"))


def test_explain_prints_the_page(capsys):
    assert main(["explain", "ei-p07"]) == 0
    assert capsys.readouterr().out.startswith("# EI-P07: ")
    assert main(["explain", "EI-P7"]) == 2
    assert "[EI-R15]" in capsys.readouterr().err


def test_versions(capsys):
    assert main(["versions"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert {"exportimpact", "python", "numpy", "pandas", "pydantic"} <= set(names)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (ZeroDivisionError("no"), 3)]
)
def test_interruptions_and_faults_leave_nothing(folder, capsys, monkeypatch, error, code):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr("exportimpact.report.render", fail)
    assert run(folder) == code
    assert left_behind(folder) == []
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert run(folder, "--traceback") == code
    assert ("Traceback" in capsys.readouterr().err) is (code == 3)


def test_brackets_in_names_are_not_markup(folder, plain_report, capsys):
    folder.replace("study.toml", 'unit = "KRW m"', 'unit = "[red] m"')
    folder.replace("study.toml", "Trade fairs", "Trade [bold]fairs[/bold]")
    assert run(folder) == 0
    out = capsys.readouterr().out
    assert "[red] m" in out
    assert "Trade [bold]fairs[/bold]" in out


def process(*args, **more):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = "import sys; from exportimpact.cli import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", code, *args],
        capture_output=True,
        encoding="utf-8",
        env=environment | more,
        check=False,
    )


def test_in_a_process_of_its_own(folder):
    out = folder.path.parent / "out"
    # A terminal that cannot show every letter is no reason to fail.
    done = process("run", str(folder.study), "--out", str(out), PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    again = process("run", str(folder.study), "--out", str(out))
    assert again.returncode == 2
    assert "[EI-R10]" in again.stderr
    assert again.stdout == ""


def test_help_loads_no_engine():
    code = (
        "import sys; from exportimpact.cli import main; main(['--help']); "
        "print(sorted({'pydantic', 'matplotlib', 'rich', 'scipy.stats', 'formulaic'} "
        "& set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
