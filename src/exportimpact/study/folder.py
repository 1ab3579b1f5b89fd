"""An output folder that appears whole or not at all, and never at the cost of someone's files.

Everything is written to a sibling folder, which takes the name at the end. An existing folder is
replaced only when it holds our manifest, and comes back when the replacement fails.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from exportimpact.errors import RunError

MANIFEST = "manifest.json"
PACKAGE = "exportimpact"


@contextmanager
def staged(out: Path, *, force: bool, keep: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield an empty sibling of `out` that becomes `out` when the block ends without an error.

    Parameters
    ----------
    out : Path
    force : bool
        Replace a folder that holds our manifest.
    keep : iterable of Path
        Inputs, which must not lie in a folder that is replaced.

    Raises
    ------
    RunError
        EI-R10 when `out` is not empty, EI-R11 when it is not ours, EI-R12 when replacing it would
        delete inputs or the working folder, EI-R13 when it cannot be written.
    """
    out = out.resolve()
    check_target(out, force=force, keep=keep)
    made: list[Path] = []
    staging = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        made = _make_parents(out.parent)
        staging.mkdir()
    except OSError as error:
        _remove_empty(made)
        raise _cannot_write(out, error) from None
    try:
        yield staging
        _publish(staging, out)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)
        raise


def check_target(out: Path, *, force: bool, keep: Iterable[Path] = ()) -> None:
    """Raise when `out` may not be written; see `staged`."""
    if out.exists() and not out.is_dir():
        raise _cannot_write(out, NotADirectoryError(0, "it is not a folder"))
    if not out.exists():
        return
    inside = [path for path in (Path.cwd(), *keep) if path.resolve().is_relative_to(out.resolve())]
    if not any(out.iterdir()):
        inside = inside[:0] if Path.cwd().resolve() != out.resolve() else inside[:1]
    elif not force:
        raise RunError(
            "EI-R10",
            f"The folder {out} is not empty; results of two runs would be mixed. Name another "
            "folder, or replace an earlier run with --force (force=True).",
            out=str(out),
        )
    elif not is_ours(out):
        raise RunError(
            "EI-R11",
            f"The folder {out} holds no {MANIFEST} of this package, so its files are not ours to "
            "delete, even when forced. Name another folder, or empty this one.",
            out=str(out),
        )
    if inside:
        raise RunError(
            "EI-R12",
            f"Writing {out} would delete {inside[0].name or inside[0]}, which is needed and lies "
            "in it. Name a folder outside of the data, the study file and the working folder.",
            out=str(out),
        )


def is_ours(folder: Path) -> bool:
    """Return whether the folder holds a manifest of this package."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("package") == PACKAGE


def _publish(staging: Path, out: Path) -> None:
    """Give `staging` the name `out`; what was there comes back when that fails."""
    old = out.with_name(f".{out.name}.{os.getpid()}.old")
    try:
        if out.exists():
            out.replace(old)
        try:
            staging.replace(out)
        except BaseException:
            if old.exists():
                old.replace(out)
            raise
    except OSError as error:
        raise _cannot_write(out, error) from None
    shutil.rmtree(old, ignore_errors=True)


def _make_parents(parent: Path) -> list[Path]:
    """Make missing folders above; return those made, the innermost first."""
    missing = [path for path in (parent, *parent.parents) if not path.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    return missing


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _cannot_write(out: Path, error: OSError) -> RunError:
    reason = error.strerror or type(error).__name__
    return RunError(
        "EI-R13",
        f"The folder {out} cannot be written: {reason}. Nothing was kept of this run. Name a "
        "folder in a place where you may write.",
        out=str(out),
    )
