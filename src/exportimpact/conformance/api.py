"""The contract of an estimator: configuration, records, influence functions, refusals."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from exportimpact._typing import FloatArray
from exportimpact.conformance.check import Check, Ruling, failed, held, passed, skipped
from exportimpact.conformance.subject import Subject
from exportimpact.conformance.world import RNG, UNIT, World, differences
from exportimpact.core.assumption import ASSUMPTIONS
from exportimpact.core.provenance import parameters_of
from exportimpact.core.result import EstimationResult
from exportimpact.core.spec import EstimatorSpec
from exportimpact.errors import ExportImpactError, InputError

_DROPPED = 48
_MIN_CORRELATION = 0.99
_SLOPE = (0.9, 1.1)
# Dropping one of n firms moves an estimate by psi/n up to a term of order 1/n: on 320 firms the
# slope of one on the other lies within a few per cent of 1, without a first-step term it does not.


def checks() -> list[Check]:
    """Return the checks of the contract."""
    demanded: list[tuple[str, Callable[[Subject], Ruling], str]] = [
        ("frozen", _frozen, "a frozen dataclass: configuration cannot change between runs"),
        ("keyword_only", _keyword_only, "every option is keyword-only"),
        ("declares", _declares, "id, title, reference and known requirements are declared"),
        ("pickles", _pickles, "estimator and result survive pickle with the same numbers"),
        ("json", _json, "the result survives JSON with the same table and aggregates"),
        ("provenance", _provenance, "the result records estimator, parameters, seal and outcome"),
        ("exploratory", _exploratory, "an unsealed design is estimated as exploratory"),
        ("influence_mean", _influence_mean, "influence columns are (n_firms, n_cells), mean zero"),
        ("influence_error", _influence_error, "influence columns reproduce the reported errors"),
        ("influence_derivative", _derivative, "dropping a firm moves the estimate as psi says"),
        ("aggregates", _aggregates, "overalls are the cells weighted as the estimand says"),
        ("same_seed", _same_seed, "same seed, same bytes, whatever numpy's global state"),
        ("global_state", _global_state, "numpy's global random state is left alone"),
        ("inputs_untouched", _inputs_untouched, "design, arrays and seal are as they were"),
        ("coded_errors", _coded_errors, "hard panels give finite numbers or a coded error"),
        ("unknown_aggregation", _unknown, "an unknown aggregation is refused with a code"),
        ("capabilities", _capabilities, "weights are refused with a code unless accepted"),
    ]
    return [Check(f"api.{name}", "api", text, examine) for name, examine, text in demanded]


def _frozen(subject: Subject) -> Ruling:
    cls = type(subject.estimator)
    parameters = getattr(cls, "__dataclass_params__", None)
    if parameters is None or not parameters.frozen:
        return failed(f"{cls.__name__} is not a frozen dataclass")
    try:
        subject.estimator.spec_ = 1
    except dataclasses.FrozenInstanceError:
        return passed()
    return failed("an attribute could be set on the instance")


def _keyword_only(subject: Subject) -> Ruling:
    loose = [f.name for f in dataclasses.fields(subject.estimator) if not f.kw_only]
    return held(f"positional options: {', '.join(loose)}" if loose else "")


def _declares(subject: Subject) -> Ruling:
    spec = subject.estimator.spec
    if not isinstance(spec, EstimatorSpec):
        return failed(f"spec is {type(spec).__name__}, not an EstimatorSpec")
    if not (spec.id and spec.title and spec.reference):
        return failed("id, title and reference must not be empty")
    names = spec.requires.names()
    if not names:
        return failed("nothing is required: no estimator is right everywhere")
    unknown = (names | set(spec.blind_to)) - ASSUMPTIONS
    return held(f"unknown assumptions: {', '.join(sorted(unknown))}" if unknown else "")


def _pickles(subject: Subject) -> Ruling:
    again = pickle.loads(pickle.dumps(subject.estimator))
    if parameters_of(again) != parameters_of(subject.estimator):
        return failed("the estimator came back with other parameters")
    result = pickle.loads(pickle.dumps(subject.result))
    return held(differences(result, subject.result, tolerance=0.0))


def _json(subject: Subject) -> Ruling:
    again = EstimationResult.from_json(subject.result.to_json())
    problem = differences(again, subject.result, tolerance=1e-12)
    for by in _kinds(subject.result):
        problem = problem or _far(
            f"{by} after JSON", again.overall(by).estimate, subject.result.overall(by).estimate
        )
    return held(problem)


def _provenance(subject: Subject) -> Ruling:
    sealed = subject.home.sealed()
    result: Any = subject.result
    if not isinstance(result, EstimationResult):
        return failed(f"estimate returned {type(result).__name__}, not an EstimationResult")
    record = result.provenance
    expected = {
        "estimator": subject.estimator.spec.id,
        "parameters": parameters_of(subject.estimator),
        "seal": sealed.hash,
    }
    wrong = [name for name, value in expected.items() if getattr(record, name) != value]
    if result.estimand.outcome != sealed.outcome_spec.name:
        wrong.append("outcome")
    return held(f"not as estimated: {', '.join(wrong)}" if wrong else "")


def _exploratory(subject: Subject) -> Ruling:
    result = subject.estimator.estimate(subject.home.design, rng=RNG)
    if not result.provenance.exploratory:
        return failed("an unsealed design was not marked as exploratory")
    return held(differences(result, subject.result, tolerance=0.0))


def _influence_mean(subject: Subject) -> Ruling:
    result = subject.result
    psi = result.influence
    expected = (result.units.size, len(result.estimand.cells))
    if psi.shape != expected:
        return failed(f"shape {psi.shape}, expected {expected}")
    spread = np.sqrt(np.mean(psi**2, axis=0))
    off = np.abs(psi.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return held(f"the mean is {off.max():.2g} of the spread, not zero" if off.max() > 1e-6 else "")


def _influence_error(subject: Subject) -> Ruling:
    result = subject.result
    if result.cells.few_clusters:
        return skipped("errors are computed within strata of few clusters")
    psi = result.influence
    codes = result.design.cluster_codes
    if codes is not None:
        sums = np.zeros((int(codes.max()) + 1, psi.shape[1]))
        np.add.at(sums, codes, psi)
        psi_total = sums
    else:
        psi_total = psi
    implied = np.sqrt((psi_total**2).sum(axis=0)) / psi.shape[0]
    reported = result.table()["std_error"].to_numpy(dtype=float)
    gap = np.nanmax(np.abs(implied - reported) / implied)
    return held(f"errors differ by {100 * gap:.3g} % from sqrt(sum psi^2)/n" if gap > 1e-6 else "")


def _derivative(subject: Subject) -> Ruling:
    if subject.estimator.spec.conservative:
        return skipped("errors are conservative by theory: psi is no derivative")
    if subject.arranged is not None and not _smooth(subject):
        return skipped("matching jumps when a firm is dropped: psi is its linear representation")
    overall = subject.result.overall("simple")
    psi = overall.influence[:, 0]
    n = psi.size
    inside = np.unique(np.concatenate([c.rows for c in subject.result.design.cells()]))
    # Half are the firms that matter most; the others may matter although psi says that they do not.
    largest = inside[np.argsort(-np.abs(psi[inside]))][: _DROPPED // 2]
    others = np.random.default_rng(4).choice(inside, _DROPPED // 2)
    chosen = np.unique(np.concatenate([largest, others]))
    moved = np.array([_moved(subject, overall, int(row)) for row in chosen])
    usable = np.isfinite(moved)
    if usable.sum() < 10:
        return skipped("the estimate cannot be repeated without single firms")
    pseudo, told = (n - 1) * moved[usable], psi[chosen][usable]
    correlation = float(np.corrcoef(pseudo, told)[0, 1])
    slope = float(told @ pseudo / (told @ told))
    numbers = {"correlation": correlation, "slope": slope}
    if correlation < _MIN_CORRELATION or not _SLOPE[0] <= slope <= _SLOPE[1]:
        text = (
            f"dropping a firm moves the estimate by {slope:.2f} times what psi says "
            f"(correlation {correlation:.3f}); a first-step term may be missing"
        )
        return failed(text, numbers)
    return passed("", numbers)


def _smooth(subject: Subject) -> bool:
    """Return whether the weights of the home design move smoothly with the data."""
    matching = subject.home.design.matching
    return matching is None or all(m.on is None for m in matching.cohorts.values())


def _moved(subject: Subject, overall: EstimationResult, row: int) -> float:
    """Return by how much the overall estimate falls without one firm."""
    without = subject.home.without(overall.units[row])
    try:
        again = without.estimate(subject.estimator).overall("simple")
    except ExportImpactError:
        return float("nan")
    if again.estimand.cells != overall.estimand.cells:
        return float("nan")
    return overall.estimate - again.estimate


def _aggregates(subject: Subject) -> Ruling:
    result = subject.result
    cells = pd.DataFrame(result.estimand.cells, columns=["cohort", "period"])
    cells["estimate"] = result.table()["estimate"].to_numpy(dtype=float)
    sizes = {g: result.design.member_weights(int(g)).sum() for g in cells["cohort"].unique()}
    cells["size"] = cells["cohort"].map(sizes)
    cells["event_time"] = cells["period"] - cells["cohort"]
    after = cells[cells["event_time"] >= 0]
    if after.empty:
        return skipped("no cell after the start of support")
    weighted = {by: _means(after, by) for by in ("event_time", "period")}
    cohorts = after.groupby("cohort").agg({"estimate": "mean", "size": "first"})
    expected = {
        "simple": np.average(after["estimate"], weights=after["size"]),
        "event_time": np.mean(weighted["event_time"]),
        "cohort": np.average(cohorts["estimate"], weights=cohorts["size"]),
        "calendar": np.mean(weighted["period"]),
    }
    problems = [
        _far(f"overall({by!r})", result.overall(by).estimate, float(expected[by]))  # type: ignore[arg-type]
        for by in expected
    ]
    return held("; ".join(p for p in problems if p))


def _means(cells: pd.DataFrame, by: str) -> list[float]:
    return [float(np.average(c["estimate"], weights=c["size"])) for _, c in cells.groupby(by)]


def _same_seed(subject: Subject) -> Ruling:
    texts = []
    state = np.random.get_state()  # noqa: NPY002 - the global state is what is tested
    try:
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002
            texts.append(subject.home.estimate(subject.estimator).to_json())
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return held("" if texts[0] == texts[1] else "two runs with one seed gave different numbers")


def _global_state(subject: Subject) -> Ruling:
    def bytes_of_state() -> bytes:
        state: Any = np.random.get_state()  # noqa: NPY002
        keys: bytes = state[1].tobytes()
        return keys + bytes(str(state[2:]), "ascii")

    before = bytes_of_state()
    subject.home.estimate(subject.estimator)
    return held("" if bytes_of_state() == before else "numpy's global random state moved")


def _inputs_untouched(subject: Subject) -> Ruling:
    design = World.sealed(subject.home)

    def picture() -> list[bytes]:
        wide = design.wide()
        arrays: list[FloatArray] = [wide.outcome, design.panel.wide(design.outcome)]
        for cell in design.cells():
            arrays += [cell.weights, wide.covariates(cell)]
        arrays += [design.panel.baseline(n).values for n in design.panel.baseline_names]
        return [np.ascontiguousarray(a).tobytes() for a in arrays] + [
            design.cohort_codes.tobytes(),
            design.hash.encode(),
            repr(sorted(design.settings)).encode(),
        ]

    before = picture()
    subject.estimator.estimate(design, rng=RNG)
    return held("" if picture() == before else "the estimator changed what it was given")


def _coded_errors(subject: Subject) -> Ruling:
    problems = []
    for what, world in _hard(subject.home):
        try:
            result = world.estimate(subject.estimator)
            if not np.isfinite(result.table()["estimate"].to_numpy(dtype=float)).all():
                problems.append(f"{what}: an estimate is not finite")
        except ExportImpactError:
            continue
        except Exception as error:  # any other type is what this check looks for
            problems.append(f"{what}: {type(error).__name__}: {error}")
    return held("; ".join(problems))


def _hard(home: World) -> list[tuple[str, World]]:
    design = home.design
    codes = design.cohort_codes
    few = [design.units[codes == c][:3] for c in np.unique(codes)]
    thin = dataclasses.replace(
        home,
        frame=home.frame[home.frame[UNIT].isin(np.concatenate(few))],
        spells=home.spells[home.spells[UNIT].isin(np.concatenate(few))],
    )
    constant = home.with_outcome(lambda y: 0 * y + 1.0)
    return [("three firms for each cohort", thin), ("an outcome that never changes", constant)]


def _unknown(subject: Subject) -> Ruling:
    for call in (subject.result.overall, subject.result.aggregate):
        try:
            call("nonsense")  # type: ignore[arg-type]
        except InputError:
            continue
        return failed("an unknown aggregation was answered")
    return passed()


def _capabilities(subject: Subject) -> Ruling:
    if "weights" in subject.estimator.spec.accepts:
        return skipped("weights are accepted: see invariances.weights_as_copies")
    firms = subject.home.frame[UNIT].nunique()
    try:
        subject.home.weighted(np.arange(firms) % 2 + 1).estimate(subject.estimator)
    except ExportImpactError:
        return passed()
    return failed("weights are not accepted, but a weighted design was not refused")


def _kinds(result: EstimationResult) -> tuple[Any, ...]:
    after = bool((result.cells.index.event_time >= 0).any())
    return ("simple", "event_time", "cohort", "calendar") if after else ()


def _far(what: str, got: float, expected: float) -> str:
    near = abs(got - expected) <= 1e-9 * max(1.0, abs(expected))
    return "" if near else f"{what} is {got:.8g}, {expected:.8g} was expected"
