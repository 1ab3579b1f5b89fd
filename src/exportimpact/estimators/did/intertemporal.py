"""Effects by time since a firm's first change, where support stops, comes again or grows.

A firm whose support changes for the first time in period g is compared, over the periods from g - 1
to t, with firms that had the same support in the first period and none of whose support has changed
by t. The difference is the effect of the path that its support really took from g to t:

    DID(g, t) = mean(Y_t - Y_(g-1) | first change in g) - mean(Y_t - Y_(g-1) | not changed by t)

Firms that had support in the first period are left out and counted, unless the assignment keeps
them; then each firm is compared with firms of its own first dose, and the effect of a firm whose
support fell is turned around.

References
----------
de Chaisemartin & D'Haultfoeuille (2024), doi:10.1162/rest_a_01414
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias, get_args

import numpy as np

from exportimpact._typing import BoolArray, Dose, FloatArray
from exportimpact.core.builder import CellBuilder
from exportimpact.core.cell import Cell
from exportimpact.core.estimator import estimator
from exportimpact.core.protocols import DesignLike
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import InputError, did_you_mean
from exportimpact.estimators.did.paths import Paths
from exportimpact.estimators.did.totals import Received, with_exhibits
from exportimpact.language import Message, message
from exportimpact.numerics.switching import by_baseline, per_dose

Placebos: TypeAlias = Literal["mirrored", "all"]
ErrorsOf: TypeAlias = Literal["sampling", "paths"]
_OPTIONS: dict[str, tuple[object, ...]] = {
    "dose": (None, *get_args(Dose)),
    "placebos": get_args(Placebos),
    "errors": get_args(ErrorsOf),
}


@estimator(
    id="intertemporal",
    title="Difference-in-differences for support that changes repeatedly",
    reference="de Chaisemartin & D'Haultfoeuille (2024), doi:10.1162/rest_a_01414",
    step="V-b",
    requires={"parallel_trends", "no_anticipation"},
    blind_to={"same_measurement": "reports that support inflates look like an effect"},
    accepts={"weights", "not_yet", "rejected", "supported_before"},
)
@dataclass(frozen=True, kw_only=True)
class Intertemporal:
    """Effects by time since first change, of support that may stop, come again or come in doses.

    Parameters
    ----------
    normalized : bool
        Divide each effect by the support received from the first change on.
    dose : {"on", "amount"}, optional
        What support is counted in: supported periods, or the amount awarded. By default the dose of
        `Assignment.from_doses`, else supported periods.
    horizon : int, optional
        The latest time since first change to estimate, as in the table's event_time.
    placebos : {"mirrored", "all"}
        Effects before support span as many periods as an effect that can be estimated and compare
        its firms with each other, as in the paper; or every cell of the design before support.
    errors : {"sampling", "paths"}
        Firms and their paths of support are drawn from a population; or paths, doses and cohort
        sizes are given, as in the paper, whose errors are conservative.

    Notes
    -----
    Requires parallel trends without support and no anticipation. Covariates of the design are not
    used. Event time 0 is the first period of the changed support, the paper's first effect; event
    time -1 - l is its l-th placebo. The paper weighs cohorts by the firms observed:
    ``result.aggregate("event_time", weights="observed")`` are its effects and, with `normalized`,
    its normalised effects. ``comparison="not_yet"`` of the design is the paper's comparison;
    "never" compares with firms that never change. With ``errors="paths"`` a firm that is alone with
    its first change and first dose deviates from the mean of the other firms that are alone, where
    the paper's deviate from zero, so that a shift of all outcomes would change the error.

    Two exhibits stand beside the cells. "total_effect": the sum of all effects from the first
    change on over the sum of the support received, with its error from the joint influence of both.
    "joint_tests": whether all effects, or all placebos, by event time are zero.

    References
    ----------
    de Chaisemartin & D'Haultfoeuille (2024), doi:10.1162/rest_a_01414

    Examples
    --------
    >>> from exportimpact import Design, synthetic
    >>> bench = synthetic.scenario("on_off_support").draw(n_firms=400, n_periods=8, seed=1)
    >>> design = Design(bench.panel, bench.support, outcome="ln_exports", comparison="not_yet")
    >>> result = Intertemporal().estimate(design)
    >>> result.aggregate("event_time", min=0).table()["event_time"].tolist()
    [0, 1, 2, 3, 4]
    >>> [exhibit.id for exhibit in result.exhibits]
    ['total_effect', 'joint_tests']
    """

    spec: ClassVar[EstimatorSpec]
    normalized: bool = False
    dose: Dose | None = None
    horizon: int | None = None
    placebos: Placebos = "mirrored"
    errors: ErrorsOf = "sampling"

    def __post_init__(self) -> None:
        for option, allowed in _OPTIONS.items():
            value = getattr(self, option)
            if value not in allowed:
                raise InputError(
                    "EI-E45",
                    f"{option}={value!r} is unknown; it decides which effects are compared and how "
                    f"they are counted. {did_you_mean(str(value), [a for a in allowed if a])}",
                    option=option,
                )
        value = self.horizon
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if value is not None and not whole:
            raise InputError(
                "EI-E45",
                f"horizon={self.horizon!r} must be a whole number of at least 0: it is the latest "
                "time since first change, 0 being the first changed period.",
                option="horizon",
            )

    def estimate(self, design: DesignLike) -> EstimationResult:
        """Return every identified cohort x period cell; a cohort is a period of first change.

        Parameters
        ----------
        design : Design or SealedDesign

        Returns
        -------
        EstimationResult

        Raises
        ------
        InputError
            EI-E46 when support is to be counted in amounts and none is known.
        NotIdentifiedError
            EI-E06 when no cell is identified.
        """
        wide, paths = design.wide(), Paths.of(design, self.dose)
        cells = CellBuilder(
            design,
            self,
            per_unit=self.normalized,
            counterfactual=not (self.normalized or paths.falls),
            known_sizes=self.errors == "paths",
        )
        received = Received.nothing(design, paths)
        for whole in design.cells():
            cell = self._comparable(whole, paths)
            if not isinstance(cell, Cell):
                if cell is not None:
                    cells.not_identified(whole, cell)
                continue
            effect, psi = self._effect(wide.change(cell), cell, paths)
            size = None
            if self.normalized:
                w = cell.weights[: cell.supported.size]
                given = self.errors == "paths"
                scaled = per_dose(effect, psi, w, paths.received(cell), known=given)
                if scaled is None:
                    label = design.calendar.label(cell.period)
                    cells.not_identified(cell, message("cell.no_dose", period=label))
                    continue
                effect, psi, size = scaled
            cells.add(cell, estimate=effect, influence=psi, sampled=True, size=size)
            received.add(cell, whole)
        for note in self._notes(design, paths, received):
            cells.note(note)
        return with_exhibits(cells.result(), received, known=self.errors == "paths")

    def _effect(self, dy: FloatArray, cell: Cell, paths: Paths) -> tuple[float, FloatArray]:
        return by_baseline(
            dy,
            cell.is_supported,
            cell.weights,
            paths.baseline[cell.rows],
            paths.sign[cell.rows],
            paths.first_doses(cell) if self.errors == "paths" else None,
        )

    def _comparable(self, cell: Cell, paths: Paths) -> Cell | Message | None:
        """Return the cell among firms of one another's baseline, why not, or None for none."""
        found = self._of_length(cell, paths)
        if not isinstance(found, Cell):
            return found
        supported, comparison = paths.same_baseline(found)
        if supported.all() and comparison.all():
            return found
        labels = {"period": paths.label(cell.period), "base": paths.label(cell.base)}
        kept = _among(found, supported, comparison)
        return message("cell.no_same_baseline", **labels) if kept is None else kept

    def _of_length(self, cell: Cell, paths: Paths) -> Cell | Message | None:
        """Return the cell among the firms of the effect of its length, why not, or None."""
        until = paths.mirror(cell)
        if self.horizon is not None and paths.time_of(cell, until) > self.horizon:
            return None
        if until == cell.period_index or (self.placebos == "all" and not self.normalized):
            return cell
        labels = {"period": paths.label(cell.period), "base": paths.label(cell.base)}
        if until >= paths.n_periods:
            return message("cell.no_effect_so_long", **labels)
        if self.placebos == "all":
            return cell
        supported, comparison = paths.observed_with(cell, until)
        if not supported.any():
            return message("cell.no_supported", **labels)
        if not comparison.any():
            return message("cell.no_comparison", **labels)
        return _among(cell, supported, comparison)

    def _notes(self, design: DesignLike, paths: Paths, received: Received) -> list[Message]:
        found = [message("note.actual_path")]
        if self.normalized:
            found.append(message("note.per_unit"))
        entries = [e for e in design.account.entries if e.reason.id == "account.always_supported"]
        if firms := sum(e.firms for e in entries):
            found.append(message("note.baseline_supported", firms=firms))
        if paths.falls:
            found.append(message("note.falls"))
        if firms := paths.n_crossing:
            found.append(message("note.crosses", firms=firms))
        if firms := received.n_apart:
            found.append(message("note.no_same_baseline", firms=firms))
        if not received.complete:
            found.append(message("note.no_total_effect"))
        if firms := received.n_unknown:
            found.append(message("note.doses_unknown", firms=firms))
        if design.settings["covariates"]:
            found.append(message("note.covariates_unused", estimator=self.spec.title))
        return found


def _among(cell: Cell, supported: BoolArray, comparison: BoolArray) -> Cell | None:
    """Return the cell among some of its firms, None when a side is empty."""
    if not (supported.any() and comparison.any()):
        return None
    return cell.among(np.concatenate([supported, comparison]))
