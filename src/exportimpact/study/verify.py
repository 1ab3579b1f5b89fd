"""Re-performs a run and lists every difference from its record.

A number is the same when it is within 1e-8 relative, or within 1e-8 of its row's standard error;
p-values within 1e-8; counts and text exactly. Files that were written are hashed to detect edits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from exportimpact.errors import ExportImpactError, RunError, did_you_mean
from exportimpact.language import Message, message
from exportimpact.study import manifest
from exportimpact.study.folder import MANIFEST

if TYPE_CHECKING:
    from exportimpact.study.perform import Performed, Progress

TOLERANCE = 1e-8
COLUMNS = ("kind", "place", "recorded", "found", "same", "message")
_LONGEST = 120
_EXACT = frozenset({"count", "text"})


@dataclass(frozen=True, eq=False, repr=False)
class Verification:
    """What a re-performed run shares with its record, and what not.

    Attributes
    ----------
    out : Path
    checks : DataFrame
        kind ("manifest", "study", "input", "output", "seal", "run" or "number"), place, recorded,
        found, same, message.
    """

    out: Path
    checks: pd.DataFrame = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether everything is as recorded."""
        return bool(self.checks["same"].all())

    @property
    def matches(self) -> pd.DataFrame:
        """What is as recorded: kind, place, recorded, found."""
        same = self.checks[self.checks["same"]]
        return same[["kind", "place", "recorded", "found"]].reset_index(drop=True)

    @property
    def differences(self) -> pd.DataFrame:
        """What is not: kind, place, recorded, found, message."""
        other = self.checks[~self.checks["same"]]
        return other.drop(columns="same").reset_index(drop=True)

    def summary(self) -> pd.DataFrame:
        """Return kind, compared, differ."""
        grouped = self.checks.groupby("kind", sort=False)["same"]
        counts = pd.DataFrame(
            {"compared": grouped.size(), "differ": grouped.size() - grouped.sum()}
        )
        return counts.astype("int64").reset_index()

    def __repr__(self) -> str:
        differ = self.differences
        lines = [f"Verification of {self.out}: {len(self.checks)} compared, {len(differ)} differ"]
        lines += [f"  {text}" for text in differ["message"][:15]]
        if len(differ) > 15:
            lines.append(f"  ... {len(differ) - 15} more")
        return "\n".join(lines)


def verify(
    out: str | Path, *, data: str | Path | None = None, progress: Progress | None = None
) -> Verification:
    """Re-perform the run in `out` from its study file and data, and compare every number.

    Parameters
    ----------
    out : path
        A folder that `run_study` or `demo` wrote.
    data : path, optional
        Folder with the data files, or the file when there is one, where they are no longer at the
        place that the manifest records.
    progress : callable, optional

    Returns
    -------
    Verification

    Raises
    ------
    RunError
        EI-V01 without a manifest, EI-V02 for one that cannot be used, EI-V03 when a data file is
        not found, EI-V04 when `data` does not fit.

    Examples
    --------
    >>> import exportimpact as ei
    >>> ei.verify("out").ok  # doctest: +SKIP
    True
    """
    folder = Path(out)
    record = manifest.read(folder)
    find = _locator(folder, record["inputs"], None if data is None else Path(data))
    checks = [
        _record_check(record),
        _study_check(folder, record["study"]),
        *(_output_check(folder, entry) for entry in record["outputs"]),
    ]
    done = _again(folder, record, find, progress)
    checks += [_input_check(entry, find(entry["file"])) for entry in record["inputs"]]
    if isinstance(done, ExportImpactError):
        checks.append(_Check("run", manifest.STUDY_COPY, "done", done.code, _failed(done)))
    else:
        checks += _seal_checks(record["designs"], done)
        checks += _number_checks(record["numbers"], manifest.number_rows(done.numbers))
    return Verification(folder, pd.DataFrame([c.row() for c in checks], columns=list(COLUMNS)))


@dataclass(frozen=True)
class _Check:
    """One thing that was compared; a message stands where it differs."""

    kind: str
    place: str
    recorded: Any
    found: Any
    difference: Message | None = None

    def row(self) -> tuple[Any, ...]:
        text = "" if self.difference is None else str(self.difference)
        return self.kind, self.place, self.recorded, self.found, self.difference is None, text


def _again(
    folder: Path, record: Mapping[str, Any], find: Callable[[str], Path], say: Progress | None
) -> Performed | ExportImpactError:
    """Perform the study in the folder once more; the error when that is no longer possible."""
    from exportimpact.study.file import read_study
    from exportimpact.study.perform import perform

    try:
        file = read_study(
            folder / manifest.STUDY_COPY, locate=lambda name: find(manifest.shown_name(name))
        )
        return perform(file, progress=say, synthetic=record.get("synthetic"))
    except ExportImpactError as error:
        return error


def _failed(error: ExportImpactError) -> Message:
    return message("verify.run_failed", error=str(error))


def _locator(
    folder: Path, inputs: Sequence[Mapping[str, Any]], data: Path | None
) -> Callable[[str], Path]:
    """Return where each input lies now; every one of them exists."""
    if data is not None and not data.exists():
        raise RunError(
            "EI-V04",
            f"{data} does not exist, so the run cannot be repeated on it. Pass the folder that "
            "holds the data files, or the file.",
            data=str(data),
        )
    if data is not None and data.is_file() and len(inputs) > 1:
        names = [Path(entry["file"]).name for entry in inputs]
        raise RunError(
            "EI-V04",
            f"The run read {len(inputs)} files ({', '.join(names)}), and --data names one; the "
            "others would be missing. Pass the folder that holds them.",
            data=str(data),
        )
    places = {entry["file"]: _place(folder, entry, data) for entry in inputs}

    def find(name: str) -> Path:
        # A study file that was edited may name a file that the record does not have.
        return places.get(name, (data or folder) / name)

    return find


def _place(folder: Path, entry: Mapping[str, Any], data: Path | None) -> Path:
    name = Path(entry["file"])
    if data is None:
        tried: list[Path] = [folder / entry["path"]] if entry.get("path") else []
    else:
        tried = [data] if data.is_file() else [data / name, data / name.name]
    for path in tried:
        if path.is_file():
            return path
    there = [p.name for p in data.iterdir()] if data is not None and data.is_dir() else []
    hint = did_you_mean(name.name, there) if there else "Pass its folder with --data (data=)."
    raise RunError(
        "EI-V03",
        f"The data file {entry['file']} is not where the record says, so the run cannot be "
        f"repeated. {hint}",
        file=entry["file"],
    )


def _record_check(record: Mapping[str, Any]) -> _Check:
    recorded, found = record.get("sha256"), manifest.own_hash(record)
    edited = None if recorded == found else message("verify.manifest_edited", file=MANIFEST)
    return _Check("manifest", MANIFEST, _short(recorded), _short(found), edited)


def _study_check(folder: Path, entry: Mapping[str, Any]) -> _Check:
    path = folder / manifest.STUDY_COPY
    found = manifest.file_hash(path) if path.is_file() else None
    changed = None
    if found != entry["sha256"]:
        changed = message("verify.study_changed" if found else "verify.study_missing")
    return _Check("study", manifest.STUDY_COPY, _short(entry["sha256"]), _short(found), changed)


def _output_check(folder: Path, entry: Mapping[str, Any]) -> _Check:
    name, path = entry["file"], folder / entry["file"]
    found = manifest.file_hash(path) if path.is_file() else None
    edited = None
    if found is None:
        edited = message("verify.output_missing", file=name)
    elif found != entry["sha256"]:
        edited = message("verify.output_edited", file=name)
    return _Check("output", name, _short(entry["sha256"]), _short(found), edited)


def _input_check(entry: Mapping[str, Any], path: Path) -> _Check:
    found = manifest.file_hash(path)
    changed = None
    if found != entry["sha256"]:
        rows, columns = entry["rows"], entry["columns"]
        changed = message("verify.input_changed", file=entry["file"], rows=rows, columns=columns)
    return _Check("input", entry["file"], _short(entry["sha256"]), _short(found), changed)


def _seal_checks(recorded: Sequence[Mapping[str, Any]], done: Performed) -> Iterator[_Check]:
    now = done.sealed
    for entry in recorded:
        key, name = (entry["outcome"], entry.get("matching")), manifest.design_name(entry)
        found = now[key].hash if key in now else None
        same = found == entry["seal"] and now[key].exploratory == entry["exploratory"]
        difference = None
        if not same:
            words = "verify.seal_changed" if key[1] is None else "verify.match_changed"
            difference = message(words, outcome=key[0], matching=key[1])
        yield _Check("seal", name, _short(entry["seal"]), _short(found), difference)
    asked = {(entry["outcome"], entry.get("matching")) for entry in recorded}
    for key, design in now.items():
        if key not in asked:
            new = message("verify.seal_new", name=", ".join(filter(None, key)))
            yield _Check("seal", ", ".join(filter(None, key)), None, _short(design.hash), new)


def _number_checks(
    recorded: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> Iterator[_Check]:
    """Compare by place; a place that occurs more than once is compared in order."""
    before, after = _by_place(recorded), _by_place(found)
    for place, row in before.items():
        value = row["value"]
        if place not in after:
            gone = message("verify.number_gone", place=place, recorded=_full(value))
            yield _Check("number", place, value, None, gone)
            continue
        now = after[place]["value"]
        differs = None
        if row["kind"] != after[place]["kind"] or not is_same(row, after[place]):
            differs = message(
                "verify.number_differs", place=place, recorded=_full(value), found=_full(now)
            )
        yield _Check("number", place, value, now, differs)
    for place, row in after.items():
        if place not in before:
            new = message("verify.number_new", place=place, found=_full(row["value"]))
            yield _Check("number", place, None, row["value"], new)


def is_same(recorded: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether two reported numbers are the same, by the rule of their kind."""
    a, b = recorded["value"], found["value"]
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (a, b))
    if not numbers or recorded["kind"] in _EXACT:
        return bool(a == b and type(a) is type(b)) or (numbers and a == b)
    gap = abs(a - b)
    if recorded["kind"] == "p_value":
        return bool(gap <= TOLERANCE)
    error = recorded.get("std_error")
    close = gap <= TOLERANCE * max(abs(a), abs(b))
    return bool(close or (isinstance(error, (int, float)) and gap <= TOLERANCE * abs(error)))


def _by_place(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    places: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        place, nth = str(row["place"]), 1
        while (name := place if nth == 1 else f"{place} ({nth})") in places:
            nth += 1
        places[name] = row
    return places


def _full(value: Any) -> str:
    """All digits, so that a difference in the last ones can be seen."""
    text = "missing" if value is None else repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _short(digest: Any) -> str:
    return "missing" if digest is None else str(digest)[:12]
