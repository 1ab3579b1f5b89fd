"""`manifest.json`: what was evaluated, how, and every number that came out; no firm-level data.

The section `environment` (time, host, versions) says where numbers were made and is not compared.
Paths are relative, and left out where they would run through a home folder.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from exportimpact.errors import RunError
from exportimpact.study.folder import MANIFEST, PACKAGE
from exportimpact.study.versions import versions

if TYPE_CHECKING:
    from exportimpact.study.perform import Performed

SCHEMA = 1
STUDY_COPY = "study.toml"
_UNHASHED = ("environment", "sha256")


def describe(
    done: Performed, folder: Path, *, synthetic: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the manifest of what was performed, but for the files to be written to `folder`."""
    return {
        "package": PACKAGE,
        "schema": SCHEMA,
        "study": {"file": STUDY_COPY, "sha256": done.file.sha256},
        "inputs": [
            {
                "file": shown_name(table.name),
                "path": relative_path(folder, done.file.locate(table.name)),
                "sha256": table.sha256,
                "rows": len(table.frame),
                "columns": len(table.frame.columns),
            }
            for table in done.inputs.tables
        ],
        "designs": [
            {
                "outcome": sealed.outcome,
                "matching": match,
                "seal": sealed.hash,
                "exploratory": sealed.exploratory,
                "seed": str(int(sealed.hash[:16] or "0", 16)),
                "settings": plain(sealed.settings),
            }
            for (_, match), sealed in done.sealed.items()
        ],
        "estimators": [
            {
                "id": result.provenance.estimator,
                "step": str(result.step),
                "outcome": result.estimand.outcome,
                "seal": result.provenance.seal,
                "parameters": plain(result.provenance.parameters),
            }
            for result in done.results
        ],
        "synthetic": plain(synthetic),
        "numbers": number_rows(done.numbers),
        "environment": {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "platform": f"{platform.system()} {platform.machine()}",
            "versions": versions(),
        },
    }


def run_record(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report prints of the run: enough to tell whether another is the same."""
    environment = described["environment"]
    return {
        "Created": environment["created"],
        "Study file": described["study"]["sha256"],
        "Inputs": {
            entry["file"]: f"{entry['rows']:,} rows, {entry['columns']} columns, {entry['sha256']}"
            for entry in described["inputs"]
        },
        "Seals": {
            design_name(entry): entry["seal"] + (" (exploratory)" if entry["exploratory"] else "")
            for entry in described["designs"]
        },
        "Seeds": {design_name(entry): entry["seed"] for entry in described["designs"]},
        "Platform": environment["platform"],
        "Versions": environment["versions"],
    }


def design_name(entry: Mapping[str, Any]) -> str:
    """Return what the record calls a design: its outcome, and the name of its match."""
    return ", ".join(filter(None, (entry["outcome"], entry.get("matching"))))


def write(described: Mapping[str, Any], outputs: Iterable[str], folder: Path) -> Path:
    """Write the manifest beside the `outputs` in `folder` and return its path."""
    hashes = [{"file": name, "sha256": file_hash(folder / name)} for name in sorted(outputs)]
    content = {**described, "outputs": hashes}
    path = folder / MANIFEST
    manifest = {**content, "sha256": own_hash(content)}
    text = json.dumps(manifest, indent=1, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest of a run.

    Raises
    ------
    RunError
        EI-V01 when there is none, EI-V02 when it cannot be read or is of another schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise RunError(
            "EI-V01",
            f"{folder} holds no {MANIFEST}, so there is no record to verify. Name the folder that "
            "exportimpact run or demo wrote.",
            folder=str(folder),
        )
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        reason = _unusable(found)
    except (ValueError, OSError) as error:
        reason = str(error)
    if reason:
        raise RunError(
            "EI-V02",
            f"{path} cannot be used as a record: {reason}. Without it nothing can be compared. "
            "Restore the file, or run the study again.",
            folder=str(folder),
        )
    manifest: dict[str, Any] = found
    return manifest


def _unusable(found: Any) -> str:
    if not isinstance(found, dict) or found.get("package") != PACKAGE:
        return f"it was not written by {PACKAGE}"
    if found.get("schema") != SCHEMA:
        return f"it has schema {found.get('schema')!r}, and this release reads {SCHEMA}"
    shapes = {"study": dict, "inputs": list, "designs": list, "numbers": list, "outputs": list}
    lacking = [key for key, shape in shapes.items() if not isinstance(found.get(key), shape)]
    return f"it lacks {', '.join(lacking)}" if lacking else ""


def own_hash(manifest: Mapping[str, Any]) -> str:
    """Return the hash of all that is compared."""
    kept = {key: value for key, value in manifest.items() if key not in _UNHASHED}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def number_rows(numbers: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the table of reported numbers as plain rows."""
    columns = ["place", "kind", "value", "std_error"]
    rows: Iterable[Sequence[Any]] = numbers[columns].itertuples(index=False, name=None)
    return [{key: plain(value) for key, value in zip(columns, row, strict=True)} for row in rows]


def plain(value: Any) -> Any:
    """Return what JSON can hold: missing as null, infinite as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, np.ndarray)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def shown_name(name: str) -> str:
    """Return a data file's name as the study gives it, without the folders of an absolute path."""
    path = Path(name)
    return path.name if path.is_absolute() else path.as_posix()


def relative_path(folder: Path, target: Path) -> str | None:
    """Return the path from `folder` to `target`, or None where it would name a home folder."""
    start, end = folder.resolve(), target.resolve()
    try:
        common = Path(os.path.commonpath([start, end]))
    except ValueError:  # another drive
        return None
    home = Path.home().resolve()
    if common == Path(common.anchor) or (home != common and home.is_relative_to(common)):
        return None
    return Path(os.path.relpath(end, start)).as_posix()
