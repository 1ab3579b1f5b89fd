"""The README's example runs as it stands, on two tables with its column names."""

from __future__ import annotations

import re
from pathlib import Path

import exportimpact as ei

README = Path(__file__).resolve().parents[2] / "README.md"


def test_the_example_runs(tmp_path, monkeypatch, capsys):
    (block,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    bench = ei.synthetic.scenario("voucher").draw(n_firms=600, seed=1)
    firms = bench.frame.dropna(subset="employees")
    names = {"firms": firms, "awards": bench.spells.query("awarded")}
    monkeypatch.chdir(tmp_path)
    exec(compile(block, str(README), "exec"), names)
    assert "Overall:" in capsys.readouterr().out
    assert (tmp_path / "out" / "exports" / "report.html").is_file()
