"""Where in a TOML text each key stands; `tomllib` does not say.

One pass over the characters that matter: headers, keys, and where a value that spans lines ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]

_HEADER = re.compile(r"\s*(\[\[?)(?P<path>[^\[\]]+)\]\]?\s*(#.*)?$")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')"""
_KEY = re.compile(rf"\s*(?P<path>{_PART}(?:\s*\.\s*{_PART})*)\s*=(?P<value>.*)$", re.DOTALL)


@dataclass(frozen=True)
class KeyLines:
    """Line number of every key and table of a TOML text; list items stand where their key does."""

    lines: Mapping[KeyPath, int]

    def of(self, path: Sequence[str | int]) -> int:
        """Return the line of `path`, or of the nearest table or key that holds it."""
        for length in range(len(path), 0, -1):
            if (found := self.lines.get(tuple(path[:length]))) is not None:
                return found
        return 1


def key_lines(text: str) -> KeyLines:
    r"""Return the lines of the keys of a TOML text.

    Examples
    --------
    >>> found = key_lines('schema = 1\n[[outcomes]]\nname = "a"\n[[outcomes]]\nname = "b"\n')
    >>> found.of(("outcomes", 1, "name"))
    5
    """
    lines: dict[KeyPath, int] = {}
    tables: dict[KeyPath, int] = {}
    current: KeyPath = ()
    value = _Value()
    for number, line in enumerate(text.split("\n"), start=1):
        if value.is_open:
            value.read(line)
        elif header := _HEADER.match(line):
            current = _table(_parts(header["path"]), header[1] == "[[", tables)
            lines.setdefault(current, number)
            lines.setdefault(current[:1], number)
        elif key := _KEY.match(line):
            path = current + _parts(key["path"])
            for length in range(len(current) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
            value.read(key["value"])
    return KeyLines(lines)


def _parts(dotted: str) -> KeyPath:
    return tuple(part.strip().strip("\"'") for part in re.findall(_PART, dotted))


def _table(parts: KeyPath, is_item: bool, tables: dict[KeyPath, int]) -> KeyPath:
    """The path of a header, with the number of the item for arrays of tables."""
    path: KeyPath = ()
    for place, part in enumerate(parts, start=1):
        path += (part,)
        if is_item and place == len(parts):
            tables[path] = tables.get(path, -1) + 1
        if path in tables:
            path += (tables[path],)
    return path


class _Value:
    """Follows a value over lines: whether a string or a bracket is still open."""

    def __init__(self) -> None:
        self.quote = ""
        self.depth = 0

    @property
    def is_open(self) -> bool:
        return bool(self.quote) or self.depth > 0

    def read(self, line: str) -> None:
        at = 0
        while at < len(line):
            at = self._in_string(line, at) if self.quote else self._outside(line, at)
        if len(self.quote) == 1:  # a plain string ends with its line, closed or not
            self.quote = ""

    def _in_string(self, line: str, at: int) -> int:
        if line[at] == "\\" and self.quote[0] == '"':
            return at + 2
        if line.startswith(self.quote, at):
            at += len(self.quote)
            self.quote = ""
            return at
        return at + 1

    def _outside(self, line: str, at: int) -> int:
        sign = line[at]
        if sign == "#":
            return len(line)
        if sign in "\"'":
            self.quote = sign * 3 if line.startswith(sign * 3, at) else sign
            return at + len(self.quote)
        self.depth += (sign in "[{") - (sign in "]}")
        return at + 1
