"""Words for people: a message id with named values becomes a sentence of the chosen catalogue.

Findings, estimands, account reasons and notes store a `Message`; only this package holds prose.
Catalogues are TOML files beside this one, one per language, ``section.id = "sentence {value}"``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

__all__ = ["Message", "known_ids", "message", "say"]

DEFAULT = "en"


@dataclass(frozen=True)
class Message:
    """A sentence to be: its id in the catalogue and the values that it names."""

    id: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return say(self)

    def __hash__(self) -> int:
        return hash((self.id, tuple(sorted((k, str(v)) for k, v in self.values.items()))))

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.id, dict(self.values))


def _rebuild(id: str, values: dict[str, Any]) -> Message:
    return Message(id, MappingProxyType(values))


def message(id: str, /, **values: Any) -> Message:
    """Return the message `id` with its values, read-only."""
    return Message(id, MappingProxyType(values))


@cache
def _catalogue(language: str) -> dict[str, str]:
    text = resources.files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8")
    flat: dict[str, str] = {}
    for section, entries in tomllib.loads(text).items():
        for key, sentence in entries.items():
            flat[f"{section}.{key}"] = sentence
    return flat


def known_ids(language: str = DEFAULT) -> frozenset[str]:
    """Return every message id that the catalogue of `language` holds."""
    return frozenset(_catalogue(language))


def say(message: Message, language: str = DEFAULT) -> str:
    """Return the sentence of `message`; numbers are shown to four significant digits."""
    values = {key: _shown(value) for key, value in message.values.items()}
    return _catalogue(language)[message.id].format(**values)


def _shown(value: Any) -> Any:
    if isinstance(value, Message):
        return say(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if isinstance(value, int):
        return value
    return f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
