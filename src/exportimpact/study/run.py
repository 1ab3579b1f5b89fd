"""Runs a study file and writes the folder that a reader opens and an auditor verifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exportimpact.study import manifest
from exportimpact.study.folder import MANIFEST, staged

if TYPE_CHECKING:
    from exportimpact.evaluation import Evaluation
    from exportimpact.study.file import StudyFile
    from exportimpact.study.perform import Performed, Progress


@dataclass(frozen=True, eq=False, repr=False)
class StudyRun:
    """A finished run.

    Attributes
    ----------
    out : Path
        The folder.
    evaluation : Evaluation
        What was estimated, and how far it can be trusted.
    manifest : Path
        The record that `verify` reads.
    """

    out: Path
    evaluation: Evaluation
    manifest: Path

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.out / "report.html"

    def __repr__(self) -> str:
        return f"{self.evaluation!r}\n  report: {self.report}"


def run_study(
    study: str | Path, out: str | Path, *, force: bool = False, progress: Progress | None = None
) -> StudyRun:
    """Run a study file and write report, tables, figures and manifest.

    Parameters
    ----------
    study : path
        A study file (TOML, ``schema = 1``); its data paths are relative to it.
    out : path
        Folder to write. It appears whole at the end, or not at all.
    force : bool
        Replace `out` when it holds a manifest of this package.
    progress : callable, optional
        Called with a few words at each stage.

    Returns
    -------
    StudyRun

    Raises
    ------
    ProblemsError
        Everything that is wrong with study file (EI-S..) or data (EI-P.., EI-A..), before any
        estimate.
    RunError
        EI-R10 to EI-R13 when `out` cannot be used.

    Examples
    --------
    >>> import exportimpact as ei
    >>> run = ei.run_study("study.toml", "out")  # doctest: +SKIP
    """
    from exportimpact.study.file import read_study

    target = Path(out)
    file = read_study(Path(study))
    keep = [file.path, *(file.locate(name) for name in file.files)]
    with staged(target, force=force, keep=keep) as folder:
        done = write_run(file, folder, progress=progress)
    return finished(done, target)


def write_run(
    file: StudyFile,
    folder: Path,
    *,
    progress: Progress | None = None,
    synthetic: Mapping[str, Any] | None = None,
) -> Performed:
    """Perform a study and write all of it into `folder`, the manifest last."""
    from exportimpact.report import render
    from exportimpact.study.perform import perform

    done = perform(file, progress=progress, synthetic=synthetic)
    if progress is not None:
        progress("writing the report")
    described = manifest.describe(done, folder, synthetic=synthetic)
    files = render(done.evaluation, record=manifest.run_record(described))
    for name, content in {**files, manifest.STUDY_COPY: file.content}.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    manifest.write(described, files, folder)
    return done


def finished(done: Performed, out: Path) -> StudyRun:
    """Return the run whose folder now has its name."""
    return StudyRun(out, done.evaluation, out / MANIFEST)
