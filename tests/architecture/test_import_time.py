"""Engines, plotting and the command line load where they are used."""

from __future__ import annotations

import json
import subprocess
import sys

LAZY = (
    "click",
    "jinja2",
    "linearmodels",
    "matplotlib",
    "pydantic",
    "rich",
    "scipy.stats",
    "sklearn",
    "statsmodels",
)
PROBE = "import json, sys, exportimpact; print(json.dumps(sorted(sys.modules)))"


def test_import_leaves_heavy_libraries_alone():
    # A fresh process: this one has loaded them all.
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout)) & set(LAZY)
    assert not loaded, f"import exportimpact loads {sorted(loaded)}"
