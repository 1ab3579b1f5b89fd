"""Every error code has a page, and every page a code."""

from __future__ import annotations

import re

import pytest

CODE = re.compile(r"\bEI-[A-Z]\d\d\b")
SECTIONS = ["What", "Why it matters", "What to do"]


def fault(code: str, page: str) -> str | None:
    """What is wrong with the page of a code, if anything."""
    title, _, body = page.partition("\n")
    if not re.fullmatch(rf"# {code}: \S.*", title):
        return f"{code}: the first line is not '# {code}: title'"
    headings = re.split(r"^## (.+)$", body, flags=re.MULTILINE)
    if headings[1::2] != SECTIONS:
        return f"{code}: the sections are not {SECTIONS}"
    if not all(text.strip() for text in headings[2::2]):
        return f"{code}: a section is empty"
    return None


def test_codes_and_pages_agree(root, sources):
    codes = {code for source in sources for code in CODE.findall(source.text)}
    pages = {path.stem for path in (root / "docs" / "messages").glob("*.md")}
    assert not codes - pages, f"codes without a page in docs/messages: {sorted(codes - pages)}"
    assert not pages - codes, f"pages without a code in src: {sorted(pages - codes)}"


def test_pages_have_their_sections(root):
    pages = sorted((root / "docs" / "messages").glob("*.md"))
    faults = [fault(path.stem, path.read_text(encoding="utf-8")) for path in pages]
    assert not [found for found in faults if found], "\n".join(filter(None, faults))


GOOD = "# EI-P07: Firm-years repeat\n\n## What\na\n\n## Why it matters\nb\n\n## What to do\nc\n"


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (GOOD, None),
        (GOOD.replace("P07", "P08"), "first line"),
        (GOOD.replace("## Why", "## Because"), "sections"),
        (GOOD.replace("b\n", "\n"), "empty"),
    ],
)
def test_fault_is_found(page, expected):
    found = fault("EI-P07", page)
    assert found is None if expected is None else expected in found
