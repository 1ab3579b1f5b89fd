"""Writes the two tables of this study: a synthetic panel of Korean firms, and their vouchers.

python write_data.py
exportimpact run study.toml --out report
"""

from pathlib import Path

import exportimpact as ei

bench = ei.synthetic.scenario("voucher").draw(n_firms=600, n_periods=10, seed=3)
here = Path(__file__).parent
bench.frame.to_csv(here / "panel.csv", index=False, encoding="utf-8")
bench.spells.to_csv(here / "awards.csv", index=False, encoding="utf-8")
