"""Every public name and its public methods say what they are."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

THIN_MODULES = ("did", "longitudinal", "matched", "matching", "plot")
MODULES = list(filter(find_spec, ["exportimpact", *(f"exportimpact.{m}" for m in THIN_MODULES)]))


def undocumented(name: str, thing: object) -> Iterator[str]:
    """The name itself, and the public members that a class defines, where a docstring lacks."""
    if not (inspect.isclass(thing) or inspect.isroutine(thing) or inspect.ismodule(thing)):
        return
    if not (thing.__doc__ or "").strip():
        yield name
    if inspect.isclass(thing):
        for member, value in vars(thing).items():
            wrapped = isinstance(value, property | classmethod | staticmethod)
            if member.startswith("_") or not (wrapped or inspect.isfunction(value)):
                continue
            if not (inspect.getdoc(getattr(thing, member)) or "").strip():
                yield f"{name}.{member}"


@pytest.mark.parametrize("name", MODULES)
def test_public_names_have_docstrings(name):
    module = importlib.import_module(name)
    names = {public: getattr(module, public) for public in module.__all__}
    missing = [found for public, thing in names.items() for found in undocumented(public, thing)]
    assert not missing, f"without a docstring: {missing}"


def test_undocumented_is_found():
    class Bare:
        def method(self): ...

        @property
        def size(self): ...

        def _private(self): ...

    assert list(undocumented("Bare", Bare)) == ["Bare", "Bare.method", "Bare.size"]
    assert not list(undocumented("pi", 3.14))
