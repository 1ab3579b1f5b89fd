"""Make data.csv and moderndid.json: a generated panel, and what moderndid's `ddd` says of it.

    pip install moderndid==0.2.0 && python tests/golden/triple_difference/make.py

Afterwards `Rscript tests/golden/triple_difference/ddd.R` writes r.json from the same data.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).parent


def main() -> None:
    import moderndid

    drawn = moderndid.gen_ddd_mult_periods(n=500, dgp_type=1, random_state=3)
    frame = drawn["data"].to_pandas()[["id", "group", "partition", "time", "y", "cov1", "cov2"]]
    frame = frame.sort_values(["id", "time"]).round(6)
    # Probability weights from the ids, so that no further random numbers are needed.
    frame["w"] = 1.0 + (frame["id"] * 37 % 11) / 10.0
    frame.to_csv(HERE / "data.csv", index=False)
    frame = pd.read_csv(HERE / "data.csv")
    frame["group"] = frame["group"].astype(float)
    found = {}
    for method in ("dr", "reg", "ipw"):
        for formula in (None, "~ cov1 + cov2"):
            for weight in (None, "w"):
                result = moderndid.ddd(
                    frame,
                    yname="y",
                    tname="time",
                    idname="id",
                    gname="group",
                    pname="partition",
                    xformla=formula,
                    est_method=method,
                    control_group="nevertreated",
                    base_period="universal",
                    weightsname=weight,
                )
                rows = [
                    {
                        "cohort": int(g),
                        "period": int(t),
                        "estimate": float(e),
                        "std_error": float(s),
                    }
                    for g, t, e, s in zip(
                        result.groups, result.times, result.att, result.se, strict=True
                    )
                    if np.isfinite(s)
                ]
                key = f"{method}/{'covariates' if formula else 'none'}/{weight or 'unweighted'}"
                found[key] = rows
    payload = {"moderndid": moderndid.__version__, "cells": found}
    (HERE / "moderndid.json").write_text(json.dumps(payload, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
