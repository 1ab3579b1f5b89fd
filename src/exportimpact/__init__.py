"""exportimpact: what public support programmes do to the exports of small and medium firms.

Matched comparison, panel difference-in-differences and longitudinal models, in the order of the
OECD's evaluation ladder, tested on synthetic panels with known effects.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any

from exportimpact.core.assumption import all_of, any_of
from exportimpact.core.builder import CellBuilder
from exportimpact.core.diagnostic import diagnostic
from exportimpact.core.estimand import Estimand
from exportimpact.core.estimator import Estimator, estimator
from exportimpact.core.exhibit import Exhibit
from exportimpact.core.finding import Finding
from exportimpact.core.many import estimate_many
from exportimpact.core.outcome import Outcome
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.core.step import Step
from exportimpact.data import Assignment, Panel
from exportimpact.design import Design, SealedDesign
from exportimpact.errors import ExportImpactError, ExportImpactWarning

if TYPE_CHECKING:
    from exportimpact import did, matched, matching, plot, synthetic
    from exportimpact.diagnostics import diagnose
    from exportimpact.estimators.matched import margins
    from exportimpact.evaluation import (
        Comparison,
        Evaluation,
        Objective,
        Plan,
        Subgroups,
        compare,
        evaluate,
        subgroups,
    )
    from exportimpact.inference import (
        EquivalenceTest,
        PretrendPower,
        RandomisationTest,
        Sensitivity,
        WildClusterTest,
        adjust,
        equivalence_test,
        pretrend_power,
        randomisation_test,
        sensitivity,
        wild_cluster_test,
    )
    from exportimpact.report import write_report
    from exportimpact.study import run_study, show_versions, verify


__version__ = "0.1.0"

__all__ = [
    "Assignment",
    "CellBuilder",
    "Comparison",
    "Design",
    "EquivalenceTest",
    "Estimand",
    "EstimationResult",
    "Estimator",
    "EstimatorSpec",
    "Evaluation",
    "Exhibit",
    "ExportImpactError",
    "ExportImpactWarning",
    "Finding",
    "Objective",
    "Outcome",
    "Panel",
    "Plan",
    "PretrendPower",
    "RandomisationTest",
    "SealedDesign",
    "Sensitivity",
    "Step",
    "Subgroups",
    "WildClusterTest",
    "__version__",
    "adjust",
    "all_of",
    "any_of",
    "compare",
    "diagnose",
    "diagnostic",
    "did",
    "equivalence_test",
    "estimate_many",
    "estimator",
    "evaluate",
    "margins",
    "matched",
    "matching",
    "plot",
    "pretrend_power",
    "randomisation_test",
    "run_study",
    "sensitivity",
    "show_versions",
    "subgroups",
    "synthetic",
    "verify",
    "wild_cluster_test",
    "write_report",
]

logging.getLogger("exportimpact").addHandler(logging.NullHandler())

# Loaded on first use, so that `import exportimpact` stays as light as pandas.
_LATER = {
    "diagnose": "exportimpact.diagnostics",
    "Comparison": "exportimpact.evaluation",
    "compare": "exportimpact.evaluation",
    "Evaluation": "exportimpact.evaluation",
    "Objective": "exportimpact.evaluation",
    "Plan": "exportimpact.evaluation",
    "Subgroups": "exportimpact.evaluation",
    "evaluate": "exportimpact.evaluation",
    "margins": "exportimpact.estimators.matched",
    "subgroups": "exportimpact.evaluation",
    "RandomisationTest": "exportimpact.inference",
    "randomisation_test": "exportimpact.inference",
    "Sensitivity": "exportimpact.inference",
    "sensitivity": "exportimpact.inference",
    "WildClusterTest": "exportimpact.inference",
    "wild_cluster_test": "exportimpact.inference",
    "PretrendPower": "exportimpact.inference",
    "pretrend_power": "exportimpact.inference",
    "EquivalenceTest": "exportimpact.inference",
    "equivalence_test": "exportimpact.inference",
    "adjust": "exportimpact.inference",
    "write_report": "exportimpact.report",
    "run_study": "exportimpact.study",
    "verify": "exportimpact.study",
    "show_versions": "exportimpact.study",
}
_MODULES = frozenset({"did", "matched", "matching", "plot", "synthetic"})


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"exportimpact.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name]), name)
    raise AttributeError(f"module 'exportimpact' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
