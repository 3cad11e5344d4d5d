"""Links between the Markdown files of the repository: file and anchor exist. `make docs` checks the
site's again.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("", ".ci", "docs", "benchmarks", "configs")
PAGES = sorted(
    {path for folder in FOLDERS for path in (ROOT / folder).glob("*.md")}
    | set((ROOT / "docs").rglob("*.md"))
)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```|^    .*?$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


def prose(path):
    """The text without code."""
    return CODE.sub("", path.read_text(encoding="utf-8"))


def anchors(path):
    """The identifiers of a page's headings, as code hosts and MkDocs make them."""
    found = set()
    for title in re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        kept = re.sub(r"[^\w\s-]", "", title.lower()).strip()
        found.add(re.sub(r"\s+", "-", kept))
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(path):
    for target in LINK.findall(prose(path)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        page = (path.parent / name).resolve() if name else path
        assert page.exists(), target
        if anchor:
            assert anchor in anchors(page), target


def test_links_are_found():
    """So that silence says something."""
    assert len(PAGES) > 40
    assert "docs/results/verdict.md" in LINK.findall(prose(ROOT / "README.md"))
    assert "how-far-cw-has-converged" in anchors(ROOT / "docs" / "project" / "measurements.md")
