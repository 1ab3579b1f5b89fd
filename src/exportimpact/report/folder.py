"""Writing a report: everything in memory first, then a folder beside the target, then a rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from exportimpact.errors import RunError
from exportimpact.evaluation import Evaluation
from exportimpact.report.figures import report_figures
from exportimpact.report.page import GENERATOR, page
from exportimpact.report.tables import report_tables

PAGE = "report.html"
_OWN = frozenset({PAGE, "tables", "figures"})


def render(evaluation: Evaluation, *, record: Mapping[str, Any] | None = None) -> dict[str, bytes]:
    """Return the files of a report by relative path, without writing anything.

    Parameters
    ----------
    evaluation : Evaluation
    record : mapping, optional
        What to print as the run record: names to values, or to mappings of names to values.
    """
    tables, figures = report_tables(evaluation), report_figures(evaluation)
    files = {PAGE: page(evaluation, tables, figures, record or {}).encode("utf-8")}
    files |= {f"tables/{name}.csv": csv(frame) for name, frame in tables.items()}
    files |= {f"figures/{name}.svg": svg.encode("utf-8") for name, svg in figures.items()}
    return files


def write_report(
    evaluation: Evaluation,
    out: str | os.PathLike[str],
    *,
    record: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write ``report.html``, ``tables/*.csv`` and ``figures/*.svg`` into the folder `out`.

    The page is one self-contained file that opens offline. Tables are UTF-8 with full precision.
    Nothing is left half-written.

    Parameters
    ----------
    evaluation : Evaluation
    out : path
        A folder that does not exist or is empty.
    record : mapping, optional
        What to print as the run record: names to values, or to mappings of names to values.
    overwrite : bool
        Replace a former report: ``report.html`` and the folders ``tables`` and ``figures`` as a
        whole; other files stay.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    RunError
        EI-R01 for a folder that is not empty, EI-R02 for one to overwrite that holds no report,
        EI-R03 for a path that cannot be a folder.
    """
    target = Path(out)
    _check_target(target, overwrite)
    files = render(evaluation, record=record)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise _not_a_folder(target, str(error)) from error
    try:
        for name, content in files.items():
            path = fresh / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        fresh.chmod(0o755)  # mkdtemp's folders are private; a report is to be read
        _swap(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return tuple(target / name for name in files)


def csv(frame: pd.DataFrame) -> bytes:
    """Return a table as UTF-8 CSV; numbers read back as the same doubles."""
    return frame.to_csv(index=False, lineterminator="\n").encode("utf-8")


def _check_target(target: Path, overwrite: bool) -> None:
    if target.exists() and not target.is_dir():
        raise _not_a_folder(target, "it is a file")
    if not target.is_dir() or not any(target.iterdir()):
        return
    if not overwrite:
        raise RunError(
            "EI-R01",
            f"The folder {target} is not empty. Writing into it would mix two reports, so that a "
            "number could no longer be traced to its table. Choose another folder, or pass "
            "overwrite=True to replace the report in it.",
            path=str(target),
        )
    report = target / PAGE
    if not report.is_file() or GENERATOR.encode() not in report.read_bytes()[:2000]:
        raise RunError(
            "EI-R02",
            f"The folder {target} is not empty and holds no report of exportimpact, so that "
            "replacing it could destroy other work. Choose another folder, or empty this one.",
            path=str(target),
        )


def _swap(fresh: Path, target: Path) -> None:
    """Put `fresh` in the place of `target`; what is not the report's moves along."""
    if not target.exists():
        fresh.rename(target)
        return
    for entry in target.iterdir():
        if entry.name not in _OWN:
            copy = shutil.copytree if entry.is_dir() else shutil.copy2
            copy(entry, fresh / entry.name)
    former = fresh.with_name(f"{fresh.name}-former")
    target.rename(former)
    try:
        fresh.rename(target)
    except OSError:
        former.rename(target)
        raise
    shutil.rmtree(former)


def _not_a_folder(target: Path, why: str) -> RunError:
    return RunError(
        "EI-R03",
        f"{target} cannot become the folder of a report: {why}. Nothing was written. Choose a path "
        "that is free and may be written to.",
        path=str(target),
    )
