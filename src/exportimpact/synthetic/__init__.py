"""Synthetic firm panels whose true effects are known.

`scenario(name).draw(...)` gives a `Bench`: the panel and awards that an evaluator would see, and
apart from them the `Truth`, an oracle over both potential outcomes of the same draw.
"""

from exportimpact.synthetic.bench import Bench, Scenario
from exportimpact.synthetic.oracle import violation_p_value
from exportimpact.synthetic.scenarios import scenario, scenarios
from exportimpact.synthetic.truth import Truth

__all__ = ["Bench", "Scenario", "Truth", "scenario", "scenarios", "violation_p_value"]
