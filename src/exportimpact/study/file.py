"""Reads a study file and says everything that is wrong with it, by line and key, before a run."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from exportimpact.core.estimator import Estimator
from exportimpact.errors import InputError, Problem, did_you_mean, raise_problems
from exportimpact.study.assemble import objective, outcome, plan
from exportimpact.study.lines import KeyLines, KeyPath, key_lines
from exportimpact.study.matches import Match, make_match, match_of, used_matches, wrong_names
from exportimpact.study.methods import make
from exportimpact.study.schema import SCHEMA, SUPPORT_KEYS, EstimatorEntry, Study
from exportimpact.study.tables import check_file

_OTHERWISE = "An evaluation has to be the one that its study file describes."


@dataclass(frozen=True, eq=False)
class StudyFile:
    """A study file that was read and found in order.

    Attributes
    ----------
    path : Path
    content : bytes
    study : Study
    estimators : tuple of Estimator
    matches : tuple of Match
    uses : tuple of str or None
        Name of the match that each estimator uses.
    locate : callable
        From a data file as the study names it to its path.
    """

    path: Path
    content: bytes
    study: Study
    estimators: tuple[Estimator, ...]
    matches: tuple[Match, ...]
    uses: tuple[str | None, ...]
    locate: Callable[[str], Path]

    @property
    def used(self) -> frozenset[str]:
        """Names of the matches that an estimator or the margins use."""
        return used_matches(self.study, self.uses)

    @property
    def sha256(self) -> str:
        """Hash of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def files(self) -> tuple[str, ...]:
        """Data files as the study names them, the panel's first, each once."""
        return tuple(dict.fromkeys((*self.study.data.panel, self.study.support.file)))


def read_study(path: Path, *, locate: Callable[[str], Path] | None = None) -> StudyFile:
    """Return the study file, validated.

    Parameters
    ----------
    path : Path
    locate : callable, optional
        From a data file as the study names it to its path; relative to the study file when not
        given.

    Raises
    ------
    ProblemsError
        Everything that is wrong, each with code, line and key (EI-S01 to EI-S14).
    """
    content, text = _read(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(
            "EI-S01",
            f"{path.name} is not valid TOML: {error}. Nothing of it can be read, so nothing was "
            "run. Text needs quotes, lists need brackets, and every line is key = value.",
            file=path.name,
        ) from None
    checks = _Checks(path.name, document, key_lines(text))
    checks.version()
    study = checks.validated()
    find = locate or (lambda name: path.parent / name)
    if study is not None:
        checks.references(study)
        checks.meanings(study)
        checks.support(study)
    checks.files(find)
    made = checks.estimators(study)
    matches, uses = ((), []) if study is None else checks.matching(study, made)
    raise_problems(checks.problems)
    assert study is not None
    estimators = tuple(estimator for _, estimator in made)
    return StudyFile(path, content, study, estimators, matches, tuple(uses), find)


def _read(path: Path) -> tuple[bytes, str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        there = sorted(p.name for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        hint = did_you_mean(path.name, there) if there else "Check the path."
        raise InputError(
            "EI-S05",
            f"The study file {path} cannot be read ({error.strerror}), so there is nothing to run. "
            + hint,
            file=path.name,
        ) from None
    try:
        return content, content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(
            "EI-S07",
            f"{path.name}, line {line}: the study file is not UTF-8; names with other letters than "
            "a-z would not be found in the data. Save it as UTF-8.",
            file=path.name,
            line=line,
        ) from None


@dataclass(eq=False)
class _Checks:
    """Collects what is wrong, each with its line and key."""

    name: str
    document: dict[str, Any]
    lines: KeyLines
    problems: list[Problem] = field(default_factory=list)

    def add(self, code: str, path: Sequence[str | int], text: str) -> None:
        where = f"{self.name}, line {self.lines.of(path)}, {_shown(path)}: "
        details = {"file": self.name, "line": self.lines.of(path), "key": _shown(path)}
        if all(p.details["key"] != details["key"] or p.code != code for p in self.problems):
            self.problems.append(Problem(code, where + text, details))

    def version(self) -> None:
        found = self.document.get("schema")
        if "schema" in self.document and (isinstance(found, bool) or found != SCHEMA):
            self.add(
                "EI-S10",
                ("schema",),
                f"the file says schema = {found!r}, and this release reads schema = {SCHEMA}; keys "
                f"may mean something else there. Write schema = {SCHEMA}, or use the release that "
                "the file was written for.",
            )
            raise_problems(self.problems)

    def validated(self) -> Study | None:
        try:
            return Study.model_validate(_frozen(self.document))
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                self._from_pydantic(detail)
            return None

    def _from_pydantic(self, detail: ErrorDetails) -> None:
        path = self._existing(detail["loc"])
        kind = detail["type"]
        if kind == "extra_forbidden":
            hint = did_you_mean(str(path[-1]), _known_keys(path))
            self.add("EI-S02", path, f"this key is not known and would have no effect. {hint}")
        elif kind == "missing":
            key = (*path, str(detail["loc"][-1]))
            self.add("EI-S03", key, f"this key is missing, and nothing can stand in. {_OTHERWISE}")
        elif kind == "literal_error":
            expected = str(detail["ctx"]["expected"])
            hint = did_you_mean(str(detail["input"]), re.findall(r"'([^']*)'", expected))
            close = f" {hint}" if hint.startswith("Did") else ""
            text = f"{detail['input']!r} is not an option; use {expected}.{close} {_OTHERWISE}"
            self.add("EI-S04", path, text)
        else:
            reason = detail["msg"][0].lower() + detail["msg"][1:]
            self.add("EI-S04", path, f"{_brief(detail['input'])}: {reason}. {_OTHERWISE}")

    def _existing(self, loc: tuple[int | str, ...]) -> KeyPath:
        """The part of a pydantic location that the document has; the rest names union branches."""
        node: Any = self.document
        path: KeyPath = ()
        for part in loc:
            held = isinstance(node, dict) and part in node
            if not held and not (isinstance(node, list) and isinstance(part, int)):
                break
            node = node[part]
            path += (part,)
        return path

    def references(self, study: Study) -> None:
        """Names that have to be declared elsewhere in the file."""
        names = [o.name for o in study.outcomes]
        for place, name in enumerate(study.design.outcomes):
            self._declared(("design", "outcomes", place), name, names, "[[outcomes]]")
        self._placebo(study, names)
        for place, aim in enumerate(study.objectives):
            self._declared(("objectives", place, "outcome"), aim.outcome, names, "[[outcomes]]")
        for name in study.output.declared_effects:
            self._declared(("output", "declared_effects", name), name, names, "[[outcomes]]")
        if isinstance(study.design.covariates, tuple):
            for place, name in enumerate(study.design.covariates):
                where = ("design", "covariates", place)
                self._declared(where, name, study.data.baseline, "[data] baseline")
        self._estimated(study)
        for place, group in enumerate(study.subgroups):
            key = ("subgroups", place, "column")
            self._declared(key, group.column, study.data.baseline, "[data] baseline")
        for place, family in enumerate(study.families):
            for name in family.outcomes:
                key = ("families", place, "outcomes")
                self._declared(key, name, study.evaluated, "the outcomes that are evaluated")
        for place, held in enumerate(study.equivalence):
            key = ("equivalence", place, "outcome")
            self._declared(key, held.outcome, study.evaluated, "the outcomes that are evaluated")
        for place, asked in enumerate(study.tests):
            if asked.within is not None:
                key = ("tests", place, "within")
                self._declared(key, asked.within, study.data.baseline, "[data] baseline")
        self._margins(study)

    def _estimated(self, study: Study) -> None:
        """Outcomes of `[[estimators]]` are evaluated, and every evaluated outcome is estimated."""
        for place, entry in enumerate(study.methods):
            for name in entry.outcomes:
                where = ("estimators", place, "outcomes")
                self._declared(where, name, study.evaluated, "the outcomes that are evaluated")
        for name in study.evaluated:
            if not any(name in (entry.outcomes or study.evaluated) for entry in study.methods):
                self.add(
                    "EI-S14",
                    ("estimators",),
                    f"no estimator is for the outcome {name!r}, so that nothing would be said of "
                    "it. Add it to outcomes of one, or leave it out of [design] outcomes.",
                )

    def _margins(self, study: Study) -> None:
        """Outcome and column of `[[margins]]` are declared, and its firms are known."""
        matches = [match.name for match in study.matching]
        for place, entry in enumerate(study.margins):
            where: tuple[str, int, str] = ("margins", place, "outcome")
            self._declared(where, entry.outcome, study.evaluated, "the outcomes that are evaluated")
            if entry.tighten is not None:
                where = ("margins", place, "tighten")
                self._declared(where, entry.tighten, study.data.baseline, "[data] baseline")
            if entry.matching is not None:
                where = ("margins", place, "matching")
                self._declared(where, entry.matching, matches, "[[matching]]")
            elif not entry.randomised and len(matches) != 1:
                self.add(
                    "EI-S14",
                    ("margins", place, "matching"),
                    f"the margins are those of matched firms, and the file has {len(matches)} "
                    "[[matching]], so that it is not known of which firms. Name one, or write "
                    "randomised = true where support was drawn by lot.",
                )

    def _placebo(self, study: Study, names: Sequence[str]) -> None:
        """Placebo outcomes are declared and not evaluated, and something is left to evaluate."""
        for place, name in enumerate(study.design.placebo):
            where = ("design", "placebo", place)
            self._declared(where, name, names, "[[outcomes]]")
            if name in study.design.outcomes or not study.evaluated:
                self.add(
                    "EI-S04",
                    where,
                    f"{name!r} is a placebo, which support cannot move, and yet it is the outcome "
                    "that is evaluated. Name another outcome, or leave it out of placebo.",
                )

    def meanings(self, study: Study) -> None:
        """What an outcome or an objective refuses on its own."""
        for place, entry in enumerate(study.outcomes):
            self._made(("outcomes", place), partial(outcome, entry))
        for place, aim in enumerate(study.objectives):
            self._made(("objectives", place), partial(objective, aim))
        if not self.problems:
            self._made(("output", "external_effect"), partial(plan, study))

    def _made(self, path: Sequence[str | int], make_it: Callable[[], object]) -> None:
        try:
            make_it()
        except InputError as error:
            self.add(error.code, path, error.message)

    def _declared(
        self, path: Sequence[str | int], name: str, known: Sequence[str], where: str
    ) -> None:
        if name not in known:
            hint = did_you_mean(name, known) if known else f"{where} is empty."
            text = f"{name!r} is not declared in {where}, so that it has no column. {hint}"
            self.add("EI-S12", path, text)

    def support(self, study: Study) -> None:
        """One of the columns that say when support began, and no key that belongs to another."""
        support = study.support
        given = [key for key in SUPPORT_KEYS if key in support.model_fields_set]
        if len(given) != 1:
            count = f"{' and '.join(given)} are" if given else "none is"
            self.add(
                "EI-S04" if given else "EI-S03",
                ("support", given[1] if given else "start"),
                f"one of {', '.join(SUPPORT_KEYS)} says when support began, and {count} given. "
                "With one row per award write start; with one row per firm write first_period; "
                "with one row per firm and period write dose.",
            )
            return
        for other, keys in SUPPORT_KEYS.items():
            for key in keys if other != given[0] else ():
                if key in support.model_fields_set:
                    self.add(
                        "EI-S04",
                        ("support", key),
                        f"this key belongs to {other} and has no effect beside {given[0]}. Write "
                        f"{other} instead of {given[0]}, or leave out {', '.join(keys)}.",
                    )

    def files(self, locate: Callable[[str], Path]) -> None:
        """Every data file exists and is of a type that can be read, valid as the rest may be."""
        panel, awards = self._value("data", "panel"), self._value("support", "file")
        several = panel if isinstance(panel, list) else [panel]
        named = [(("data", "panel", i), name) for i, name in enumerate(several)]
        for path, name in [*named, (("support", "file"), awards)]:
            if isinstance(name, str) and (problem := check_file(name, locate(name))) is not None:
                self.add(problem.code, path, problem.message)

    def _entries(self) -> list[EstimatorEntry | None]:
        given = self.document.get("estimators")
        return [
            EstimatorEntry.model_validate(entry)
            if isinstance(entry, dict) and isinstance(entry.get("id"), str)
            else None
            for entry in (given if isinstance(given, list) else [])
        ]

    def _value(self, table: str, key: str) -> Any:
        held = self.document.get(table)
        return held.get(key) if isinstance(held, dict) else None

    def estimators(self, study: Study | None) -> list[tuple[int, Estimator]]:
        """The estimators, made; of an invalid file those that can be read, for their problems."""
        made: list[tuple[int, Estimator]] = []
        for place, entry in enumerate(self._entries() if study is None else study.methods):
            if entry is None:
                continue
            found = make(entry.id, entry.parameters)
            if isinstance(found, list):
                for key, problem in found:
                    self.add(problem.code, ("estimators", place, key), problem.message)
            else:
                made.append((place, found))
        return made

    def matching(
        self, study: Study, estimators: Sequence[tuple[int, Estimator]]
    ) -> tuple[tuple[Match, ...], list[str | None]]:
        """The matches, made, and the one that each estimator uses."""
        matches: list[Match] = []
        for place, entry in enumerate(study.matching):
            found = make_match(entry, study)
            if isinstance(found, Match):
                matches.append(found)
                continue
            for key, problem in found:
                self.add(problem.code, ("matching", place, key), problem.message)
        uses: list[str | None] = []
        for place, estimator in estimators:
            used = match_of(study.methods[place], estimator, study.matching)
            if isinstance(used, Problem):
                self.add(used.code, ("estimators", place, "matching"), used.message)
            else:
                uses.append(used)
        if not self.problems:
            for place, problem in wrong_names(study.matching, used_matches(study, uses)):
                self.add(problem.code, ("matching", place, "name"), problem.message)
        return tuple(matches), uses


def _known_keys(path: KeyPath) -> list[str]:
    """Keys that the table of the last part of `path` may have."""
    model: Any = Study
    for part in path[:-1]:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            model = getattr(annotation, "__args__", (annotation,))[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def _shown(path: Sequence[str | int]) -> str:
    """``[design] base``, ``[[outcomes]] 2 scale``: as a reader finds it."""
    words = [str(part + 1) if isinstance(part, int) else part for part in path]
    if len(path) < 2:
        return words[0] if words else "file"
    if isinstance(path[1], int):
        return f"[[{words[0]}]] {' '.join(words[1:])}"
    return f"[{words[0]}] {words[1]}"


def _frozen(value: Any) -> Any:
    """Lists as tuples, so that strict validation into frozen models takes them."""
    if isinstance(value, dict):
        return {key: _frozen(item) for key, item in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _brief(value: Any) -> str:
    shown = repr(list(value) if isinstance(value, tuple) else value)
    return shown if len(shown) <= 60 else shown[:57] + "..."
