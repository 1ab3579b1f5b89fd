"""One process at a time for one file, so that two test workers do not make the same draws twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_WAIT = 0.1
_STALE = 600.0
"""Seconds after which a lock is taken to be left over from a process that was killed."""


@contextmanager
def alone(path: Path | None) -> Iterator[None]:
    """Hold a lock beside `path`; without a path there is nothing to share and nothing to hold."""
    if path is None:
        yield
        return
    lock = path.with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    while not _taken(lock):
        time.sleep(_WAIT)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _taken(lock: Path) -> bool:
    try:
        os.close(os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        try:
            age = time.time() - lock.stat().st_mtime
        except FileNotFoundError:
            return False
        if age > _STALE:
            lock.unlink(missing_ok=True)
        return False
    return True
