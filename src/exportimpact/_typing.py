"""Array aliases and the names of options."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]
AnyArray: TypeAlias = npt.NDArray[Any]
Rng: TypeAlias = int | np.random.Generator | None

Scale: TypeAlias = Literal["level", "log", "logged", "binary", "count", "share"]
AfterExit: TypeAlias = Literal["zero", "missing"]
Comparison: TypeAlias = Literal["never", "not_yet", "rejected"]
Pool: TypeAlias = Literal["never", "not_yet", "rejected", "others", "all_untreated", "all_never"]
Base: TypeAlias = Literal["universal", "varying"]
Unbalanced: TypeAlias = Literal["pairwise", "balanced", "error"]
Aggregation: TypeAlias = Literal["cell", "simple", "event_time", "cohort", "calendar"]
Common: TypeAlias = Literal["none", "all", "event_time"]
Adjust: TypeAlias = Literal["none", "regression", "weighting", "doubly_robust"]
FixedEffects: TypeAlias = Literal["cohort", "firm"]
Dose: TypeAlias = Literal["on", "amount"]
Already: TypeAlias = Literal["drop", "keep"]
Population: TypeAlias = Literal["super", "sample"]
Verdict: TypeAlias = Literal["SUPPORTS", "CONCERN", "CONTRADICTS", "NOT_APPLICABLE", "NOT_RUN"]
