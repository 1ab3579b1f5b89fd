"""Which awarded firms the panel has, by programme, and why the others may be missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from exportimpact._typing import AnyArray, BoolArray, IntArray
from exportimpact.data.identifiers import locate, near_matches, plain, shown
from exportimpact.data.panel import Panel
from exportimpact.data.spells import Spells
from exportimpact.errors import InputError
from exportimpact.language import Message, message


@dataclass(frozen=True, eq=False)
class Linkage:
    """Place of each row's firm in the panel (-1: absent), counts by programme, and notes."""

    firm: IntArray
    table: pd.DataFrame
    notes: tuple[Message, ...]


def link(spells: Spells, programme: str | None, panel: Panel) -> Linkage:
    """Return the linkage; EI-A15 when no awarded firm (of the programme in focus) is found.

    Firms that were in the panel's frame and left it for a missing covariate count as linked.
    """
    place = locate(panel.units, spells.units)
    found = place >= 0
    if len(panel.dropped_units):
        dropped = locate(panel.dropped_units, spells.units) >= 0
    else:
        dropped = np.zeros(len(found), dtype=bool)
    awarded = _awarded_firms(spells, None)
    relevant = _awarded_firms(spells, programme)
    if not found[relevant].any():
        raise _none_linked(spells, panel, spells.units[relevant], programme)
    notes: list[Message] = []
    strangers = spells.units[awarded & ~found & ~dropped]
    if len(strangers):
        notes.append(message("data.not_linked", n=len(strangers), of=int(awarded.sum())))
        near = near_matches(panel.units, strangers)
        if near:
            notes.append(message("data.nearly_linked", n=len(near), pair=shown(near)))
    lost = int((awarded & dropped).sum())
    if lost:
        notes.append(message("data.linked_but_dropped", n=lost))
    if spells.lasting:
        unlisted = int((locate(spells.units, panel.units) < 0).sum())
        if unlisted:
            notes.append(message("data.unlisted", n=unlisted, of=panel.n_firms))
    table = _by_programme(spells, found | dropped)
    return Linkage(place[spells.firm], table, tuple(notes))


def _awarded_firms(spells: Spells, programme: str | None) -> BoolArray:
    rows = spells.awarded
    if programme is not None:
        rows = rows & (spells.programme == spells.programmes.index(programme))
    firms = np.zeros(len(spells.units), dtype=bool)
    firms[spells.firm[rows]] = True
    return firms


def _by_programme(spells: Spells, found: BoolArray) -> pd.DataFrame:
    lines = []
    for name in spells.programmes:
        firms = _awarded_firms(spells, name)
        n, linked = int(firms.sum()), int((firms & found).sum())
        if n:
            lines.append((name, n, linked, linked / n))
    return pd.DataFrame(lines, columns=["programme", "awarded_firms", "linked", "share"])


def _none_linked(
    spells: Spells, panel: Panel, strangers: AnyArray, programme: str | None
) -> InputError:
    ours, theirs = plain(panel.units[0]), plain(strangers[0])
    near = near_matches(panel.units, strangers)
    if near:
        ours, theirs = plain(near[0][0]), plain(near[0][1])
    unit = spells.unit
    if isinstance(ours, int) and isinstance(theirs, str):
        fix = f"Convert: spells[{unit!r}] = spells[{unit!r}].astype(int)."
    elif isinstance(ours, str) and isinstance(theirs, int):
        width = len(ours)
        fill = f".str.zfill({width})" if ours.startswith("0") else ""
        fix = f"Convert: spells[{unit!r}] = spells[{unit!r}].astype(str){fill}."
    elif near:
        fix = "They differ only by leading zeros, case or spaces: write both in one way."
    else:
        fix = "Check that both tables use the same kind of id (tax number, agency number)."
    which = f" of {programme!r}" if programme else ""
    return InputError(
        "EI-A15",
        f"None of {len(strangers):,} awarded firms{which} is among the panel's {panel.n_firms:,}: "
        f"the panel's ids look like {ours!r} ({_type(ours)}), those of support like {theirs!r} "
        f"({_type(theirs)}). Without a supported firm there is no effect to estimate. {fix}",
        awarded_firms=len(strangers),
        panel_example=ours,
        support_example=theirs,
    )


def _type(value: object) -> str:
    return "a whole number" if isinstance(value, int) else "text"
