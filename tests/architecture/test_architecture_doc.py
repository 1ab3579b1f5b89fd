"""The module table of ARCHITECTURE.md is the tree."""

from __future__ import annotations

HEADER = "| module | what it is for |"


def table(text: str) -> dict[str, str]:
    """The rows of the module table: name and purpose."""
    _, _, rest = text.partition(HEADER)
    rows = {}
    for line in rest.splitlines()[2:]:
        if not line.startswith("|"):
            break
        name, purpose = (cell.strip() for cell in line.strip("|").split("|"))
        rows[name.strip("`")] = purpose
    return rows


def tree(package) -> set[str]:
    """Every package at any depth and every module at the top."""
    packages = {path.parent for path in package.rglob("__init__.py")} - {package}
    modules = {path.with_suffix("") for path in package.glob("*.py")}
    names = {path.relative_to(package).as_posix().replace("/", ".") for path in packages | modules}
    return {name for name in names if not name.startswith("__")}


def test_module_table_is_the_tree(root, package):
    rows = table((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    modules = tree(package)
    assert not modules - rows.keys(), f"not in ARCHITECTURE.md: {sorted(modules - rows.keys())}"
    assert not rows.keys() - modules, f"not in the tree: {sorted(rows.keys() - modules)}"
    assert all(rows.values()), "a module says nothing of what it is for"


def test_a_small_table_and_tree(tmp_path):
    assert table(f"text\n\n{HEADER}\n|---|---|\n| `did` | thin |\n| `core` | words |\n\nmore") == {
        "did": "thin",
        "core": "words",
    }
    for path in ("__init__.py", "did.py", "core/__init__.py", "core/cell.py", "a/b/__init__.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert tree(tmp_path) == {"did", "core", "a.b"}
