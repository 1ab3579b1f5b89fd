"""Nothing in the source is silenced wholesale or left for later."""

from __future__ import annotations

import re

import pytest

BANNED = {
    "noqa without a code": re.compile(r"#\s*noqa\b(?!:\s*[A-Z]+\d)", re.IGNORECASE),
    "type: ignore without a code": re.compile(r"#\s*type:\s*ignore\b(?!\[)"),
    "work left for later": re.compile(r"\b(TODO|FIXME|XXX)\b"),
    "not implemented": re.compile(r"\bNotImplementedError\b"),
}


def offences(text: str) -> list[tuple[int, str]]:
    """Line number and name of each banned phrase."""
    return [
        (number, name)
        for number, line in enumerate(text.splitlines(), start=1)
        for name, pattern in BANNED.items()
        if pattern.search(line)
    ]


def test_source_has_no_banned_words(sources):
    found = [
        f"{source.path}:{at}: {name}" for source in sources for at, name in offences(source.text)
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "banned"),
    [
        ("import os  # noqa", True),
        ("import os  # noqa: F401", False),
        ("x = f()  # type: ignore", True),
        ("x = f()  # type: ignore[no-any-return]", False),
        ("# TODO: later", True),
        ("raise NotImplementedError", True),
        ("raise InputError(code, message)", False),
    ],
)
def test_banned_words_are_found(line, banned):
    assert bool(offences(line)) is banned
