"""The one error of the sensitivity analyses: a number that they cannot use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from exportimpact.errors import InputError


def require(holds: bool | np.bool_, message: str, details: Mapping[str, Any] | None = None) -> None:
    """Raise EI-N01 with `message` unless the condition holds; `details` are for programs."""
    if not holds:
        raise InputError("EI-N01", message, **(details or {}))
