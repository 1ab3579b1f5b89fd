"""Vouchers of the synthetic Korean programme: who applies, who wins, how much, and who comes back.

Applications and scores depend on size and first-year export stage, which are observed and do not
change, and on luck; so that among firms alike in both, a first award is by chance. No firm closes
before the last call is decided. Otherwise firms that close early would be among the never supported
because they closed, and comparison with them would flatter the programme by one to two points of
the share that exports, more than its effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit

from exportimpact._typing import BoolArray, FloatArray, IntArray
from exportimpact.data import NEVER

PROGRAMME = "voucher"
FIRST_CALL, LAST_CALL = 4, 7
"""Places of the first and last voucher year in the panel: 2017 and 2020 of 2013-2022."""

# By stage: domestic, beginner, promising, leading. Caps follow the tiers of prior-year exports.
_APPLY = np.array([-2.2, -1.5, -1.4, -1.6])
_POINTS = np.array([0.0, 4.0, 6.0, 7.0])
_CAP = np.array([30.0, 50.0, 80.0, 100.0])
_SELECTED = 2270 / 6026
_MOST_AWARDS = 2
_APPLY_AGAIN, _POINTS_AGAIN = 0.5, 1.0
# Other programmes: a yearly chance, an amount. They change nothing in the outcomes.
_OTHERS = {"trade_fair": (0.015, 5.3), "export_incubator": (0.004, 36.6)}


@dataclass(frozen=True, eq=False)
class Register:
    """What the agency knows of each firm, (n_firms,) each.

    Attributes
    ----------
    ids, stage : IntArray
        Identifier, and export stage in the first year (0 domestic to 3 leading).
    z : FloatArray
        Log employees in the first year, standardised.
    """

    ids: IntArray
    stage: IntArray
    z: FloatArray


@dataclass(frozen=True, eq=False)
class Awards:
    """Spells as the agency records them, and the place of each firm's first voucher (or NEVER)."""

    spells: pd.DataFrame
    first: IntArray


def draw_awards(
    rng: np.random.Generator, register: Register, first_year: int, n_periods: int
) -> Awards:
    """Return the calls from `FIRST_CALL` to `LAST_CALL`, and support by other programmes."""
    n = register.ids.size
    first = np.full(n, NEVER, dtype=np.int64)
    awards = np.zeros(n, dtype=np.int64)
    last_year = np.zeros(n, dtype=bool)
    spells = []
    for t in range(FIRST_CALL, min(LAST_CALL + 1, n_periods)):
        applied, score, awarded = _call(rng, register, awards < _MOST_AWARDS, last_year)
        amount = np.round(_CAP[register.stage] * rng.uniform(0.4, 1.0, n), 1)
        spells.append(
            pd.DataFrame(
                {
                    "firm_id": register.ids[applied],
                    "award_year": first_year + t,
                    "programme": PROGRAMME,
                    "amount": np.where(awarded, amount, 0.0)[applied],
                    "applied": first_year + t,
                    "score": score[applied],
                    "awarded": awarded[applied],
                }
            )
        )
        first[awarded & (first == NEVER)] = t
        awards += awarded
        last_year = awarded
    spells += _others(rng, register, first_year, n_periods)
    return Awards(pd.concat(spells, ignore_index=True), first)


def _call(
    rng: np.random.Generator, register: Register, eligible: BoolArray, last_year: BoolArray
) -> tuple[BoolArray, FloatArray, BoolArray]:
    """One call: who applied, the score, and who was awarded, (n_firms,) each."""
    n = register.ids.size
    chance = expit(_APPLY[register.stage] + 0.35 * register.z)
    applied = eligible & (rng.random(n) < np.where(last_year, _APPLY_AGAIN, chance))
    points = 55.0 + 4.0 * register.z + _POINTS[register.stage] + _POINTS_AGAIN * last_year
    score = np.round(np.clip(points + rng.normal(0.0, 8.0, n), 0.0, 100.0), 2)
    ranked = np.argsort(np.where(applied, -score, np.inf), kind="stable")
    awarded = np.zeros(n, dtype=bool)
    awarded[ranked[: round(_SELECTED * applied.sum())]] = True
    return applied, score, awarded


def _others(
    rng: np.random.Generator, register: Register, first_year: int, n_periods: int
) -> list[pd.DataFrame]:
    found = []
    for programme, (chance, amount) in _OTHERS.items():
        likely = chance * np.exp(0.3 * register.z)
        for t in range(2, min(LAST_CALL + 1, n_periods)):
            takes = rng.random(register.ids.size) < likely
            found.append(
                pd.DataFrame(
                    {
                        "firm_id": register.ids[takes],
                        "award_year": first_year + t,
                        "programme": programme,
                        "amount": amount,
                        "applied": first_year + t,
                        "score": np.nan,
                        "awarded": True,
                    }
                )
            )
    return found
