"""What a reader needs: docstrings with their sections, a paper that can be found, an example."""

from __future__ import annotations

import doctest
import inspect
import re
from dataclasses import fields, is_dataclass

from exportimpact.conformance.check import Check, Ruling, held, passed, skipped
from exportimpact.conformance.subject import Subject

_DOI = re.compile(r"doi:10\.\d{4,9}/\S+")
_URL = re.compile(r"https?://\S+\.\S+")


def checks() -> list[Check]:
    """Return the checks of the documents."""
    told = "the class says what it estimates; parameters and assumptions have their sections"
    paper = "the reference names a paper with its DOI (doi:10....) or an address"
    return [
        Check("documents.docstring", "documents", told, _docstring),
        Check("documents.estimate_docstring", "documents", told, _estimate_docstring),
        Check("documents.reference", "documents", paper, _reference),
        Check("documents.example", "documents", "the docstring's example runs", _example),
    ]


def _docstring(subject: Subject) -> Ruling:
    cls = type(subject.estimator)
    text = inspect.cleandoc(cls.__doc__ or "")
    generated = text.startswith(f"{cls.__name__}(")
    if not text or generated:
        return held("the class has no docstring: a reader cannot know what it estimates")
    parameters = [f.name for f in fields(cls)] if is_dataclass(cls) else []
    if parameters and "Parameters\n----" not in text:
        return held(f"no section Parameters for {', '.join(parameters)}")
    missing = [n for n in parameters if not re.search(rf"^\W*{n}\b.*:", text, re.MULTILINE)]
    return held(f"parameters without a line: {', '.join(missing)}" if missing else "")


def _estimate_docstring(subject: Subject) -> Ruling:
    text = inspect.cleandoc(type(subject.estimator).estimate.__doc__ or "")
    return held("" if text else "estimate() has no docstring")


def _reference(subject: Subject) -> Ruling:
    reference = subject.estimator.spec.reference
    found = _DOI.search(reference) or _URL.search(reference)
    return held("" if found else f"no DOI (doi:10....) or address in {reference!r}")


def _example(subject: Subject) -> Ruling:
    cls = type(subject.estimator)
    module = inspect.getmodule(cls)
    finder = doctest.DocTestFinder(recurse=False)
    tests = [t for t in finder.find(cls, module=module) if t.examples]
    if not tests:
        return skipped("the class has no example")
    flags = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=flags, verbose=False)
    for test in tests:
        if runner.run(test, out=told.append).failed:
            return held("".join(told).strip()[-500:])
    return passed()
