"""Who could have been supported instead: units that exchange their whole histories of support."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from exportimpact._typing import FloatArray, IntArray
from exportimpact.design import SealedDesign, permuted
from exportimpact.errors import InputError, NotIdentifiedError
from exportimpact.numerics.randomisation import arrangements, n_arrangements

Unit: TypeAlias = Literal["cluster", "firm"]


@dataclass(frozen=True, eq=False, repr=False)
class Mechanism:
    """How support is taken to have been assigned.

    Attributes
    ----------
    unit : {"cluster", "firm"}
    within : str or None
        Column whose categories are the strata.
    codes : (n_firms,)
        Unit of each firm, -1 for firms outside the design.
    example : (n_units,)
        A firm of each unit.
    labels, strata : (n_units,)
        History of support and stratum of each unit.
    supported : int
        Units that are supported within the panel.
    """

    unit: Unit
    within: str | None
    codes: IntArray
    example: IntArray
    labels: IntArray
    strata: IntArray
    supported: int

    @classmethod
    def of(cls, design: SealedDesign, unit: Unit, within: str | None) -> Mechanism:
        """Return the mechanism by which support moves between units of a design.

        Raises
        ------
        InputError
            EI-I32 when firms of a unit have different histories, or a unit is in several strata.
        NotIdentifiedError
            EI-I34 when there is one arrangement only.
        """
        inside = np.flatnonzero(permuted.inside(design))
        clusters = design.cluster_codes
        given = np.arange(design.units.size) if unit == "firm" else clusters
        assert given is not None
        _, example, place = np.unique(given[inside], return_index=True, return_inverse=True)
        codes = np.full(design.units.size, -1, dtype=np.int64)
        codes[inside] = place.ravel()
        example = inside[example]
        known = permuted.first_supported(design)
        if unit == "firm" or design.aligned.dose is not None:
            known = permuted.histories(design)
        _same(design, inside, codes, known, example, "histories of support")
        strata = np.zeros(design.units.size, dtype=np.int64)
        if within is not None:
            strata = _strata(design, within)
            _same(design, inside, codes, strata, example, f"categories of {within!r}")
        started = permuted.first_supported(design)[example] <= design.calendar.ordinals[-1]
        found = cls(
            unit=unit,
            within=within,
            codes=codes,
            example=example,
            labels=np.unique(known[example], return_inverse=True)[1].astype(np.int64),
            strata=strata[example],
            supported=int(started.sum()),
        )
        if n_arrangements(found.labels, found.strata) < 2:
            raise NotIdentifiedError(
                "EI-I34",
                f"Among {found.labels.size} units ({unit}) support could have been arranged in one "
                "way only, so that there is nothing to hold the estimate against. Leave out "
                "`within`, take a column whose categories hold supported and other units, or "
                'permute firms: unit="firm".',
                units=int(found.labels.size),
            )
        return found

    def sources(self, draws: int, rng: np.random.Generator) -> tuple[Iterator[IntArray], int, bool]:
        """Return for each arrangement the unit whose support each unit gets; count; if all."""
        return arrangements(self.labels, self.strata, draws, rng)

    def firms(self, source: IntArray) -> IntArray:
        """Return the firm whose support each firm gets, (n_firms,)."""
        out = np.arange(self.codes.size)
        inside = self.codes >= 0
        out[inside] = self.example[source[self.codes[inside]]]
        return out


def _strata(design: SealedDesign, within: str) -> IntArray:
    """Return the category of each firm where it is first reported, (n_firms,)."""
    if within == design.panel.cluster:
        return design.panel.cluster_codes
    values: FloatArray = design.panel.baseline(within).values
    seen = np.isfinite(values)
    first = np.where(seen.any(axis=1), values[np.arange(len(values)), seen.argmax(axis=1)], np.nan)
    return np.unique(first, return_inverse=True)[1].astype(np.int64)


def _same(
    design: SealedDesign,
    inside: IntArray,
    codes: IntArray,
    known: IntArray,
    example: IntArray,
    what: str,
) -> None:
    differs = inside[known[inside] != known[example[codes[inside]]]]
    if not differs.size:
        return
    clusters = np.unique(codes[differs])
    first = design.panel.cluster_labels[int(design.panel.cluster_codes[differs[0]])]
    raise InputError(
        "EI-I32",
        f"Firms of {clusters.size} of {example.size} clusters have different {what}, for example "
        f"in cluster {first}, so that clusters cannot exchange them whole. Support was then not "
        "assigned to these clusters: cluster the panel where it was, or permute firms with "
        f'unit="firm", within={design.panel.cluster!r} if it was assigned inside clusters.',
        clusters=int(clusters.size),
        example=first,
    )
