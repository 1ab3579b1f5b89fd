"""Results and findings on one ladder: frozen objects that know no files."""

from exportimpact.evaluation.comparison import Comparison, compare
from exportimpact.evaluation.evaluation import Evaluation, evaluate
from exportimpact.evaluation.ladder import Rung, headline_result
from exportimpact.evaluation.paths import event_study_table
from exportimpact.evaluation.plan import Objective, Plan
from exportimpact.evaluation.power import DesignPower, design_power
from exportimpact.evaluation.subgroups import Subgroups, subgroups

__all__ = [
    "Comparison",
    "DesignPower",
    "Evaluation",
    "Objective",
    "Plan",
    "Rung",
    "Subgroups",
    "compare",
    "design_power",
    "evaluate",
    "event_study_table",
    "headline_result",
    "subgroups",
]
