"""The page that explains the code of a message: in the wheel, or in a source checkout."""

from __future__ import annotations

from pathlib import Path

from exportimpact.errors import RunError, did_you_mean


def page(code: str) -> str:
    """Return the page of a code such as ``"EI-P07"``; EI-R15 when there is none."""
    name = code.strip().upper()
    for folder in _folders():
        path = folder / f"{name}.md"
        if path.is_file():
            return path.read_text(encoding="utf-8").rstrip()
    known = [path.stem for folder in _folders() for path in sorted(folder.glob("EI-*.md"))]
    raise RunError(
        "EI-R15",
        f"There is no message with the code {code!r}, so nothing can be explained. "
        + did_you_mean(name, known),
        code_asked=code,
    )


def _folders() -> list[Path]:
    package = Path(__file__).resolve().parents[1]
    return [package / "messages", package.parents[1] / "docs" / "messages"]
