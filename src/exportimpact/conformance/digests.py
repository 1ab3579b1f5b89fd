"""Digests: of an estimator, of a scenario, and of the code that numbers depend on.

Sources are read without comments, docstrings and layout, so that words may change; a scenario is
known by the bytes of its first draws, so that it changes when its numbers do.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import platform
import sys
from dataclasses import is_dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from exportimpact.core.provenance import parameters_of
from exportimpact.synthetic import scenario

_ENGINE = ("numerics", "core", "data", "design", "diagnostics")
_NUMBERS = ("numpy", "scipy", "pandas", "statsmodels", "linearmodels", "scikit-learn")


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on."""
    return {
        "python": platform.python_version(),
        "exportimpact": import_module("exportimpact").__version__,
        **{name: version(name) for name in _NUMBERS},
    }


def estimator_digest(estimator: Any) -> str:
    """Return the digest of an estimator's class, the module around it, and its parameters."""
    cls = type(estimator)
    parts = [cls.__module__, cls.__qualname__, _module_source(cls)]
    parameters = parameters_of(estimator) if is_dataclass(estimator) else {}
    parts.append(json.dumps(parameters, sort_keys=True, default=repr))
    if "estimator" in parameters:
        parts.append(estimator_digest(parameters["estimator"]))
    return digest(*parts)


@cache
def engine_digest() -> str:
    """Return the digest of the layers below estimators, of diagnostics, and of the versions."""
    root = Path(str(import_module("exportimpact").__file__)).parent
    paths = sorted(path for layer in _ENGINE for path in (root / layer).rglob("*.py"))
    sources = [f"{p.relative_to(root)}\n{bare(p.read_text(encoding='utf-8'))}" for p in paths]
    return digest(*sources, json.dumps(versions(), sort_keys=True))


@cache
def scenario_digest(name: str) -> str:
    """Return the digest of a scenario's first two draws and of what it declares."""
    world = scenario(name)
    parts = [name, repr(sorted(world.holds)), repr(sorted(world.fails)), str(world.violation)]
    parts += [repr(sorted(world.design_options.items())), str(world.size)]
    for seed in (1, 2):
        bench = world.draw(n_firms=world.size, n_periods=8, seed=seed)
        parts.append(bench.panel.fingerprint)
        for outcome in bench.truth.outcomes.values():
            parts.append(hashlib.sha256(outcome.with_support.tobytes()).hexdigest())
    return digest(*parts)


def digest(*parts: str) -> str:
    """Return the SHA-256 of text parts, 64 hexadecimal digits."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode("utf-8"))
        whole.update(b"\x1e")
    return whole.hexdigest()


def bare(source: str) -> str:
    """Return Python source without comments, docstrings and layout.

    Examples
    --------
    >>> bare("x  = 1 # why")
    'x = 1'
    """
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and len(body) > 1 and _is_text(body[0]):
            del body[0]
    return ast.unparse(tree)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(getattr(node.value, "value", None), str)


def _module_source(cls: type) -> str:
    """Return the module's source; of a built-in estimator that of its whole family."""
    name = cls.__module__
    if not name.startswith("exportimpact.estimators."):
        return _source(name, cls.__qualname__)
    return _family(Path(str(import_module(name).__file__)).parent)


@cache
def _family(folder: Path) -> str:
    return "\n".join(bare(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.py")))


@cache
def _source(name: str, qualname: str) -> str:
    module = sys.modules.get(name)
    try:
        return bare(inspect.getsource(module)) if module is not None else qualname
    except (OSError, TypeError):  # typed into a console: no file to read
        return f"no source: {qualname}"
