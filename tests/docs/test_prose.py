"""The English of README, the guides and the site: short sentences, no history, no figures by hand,
lines of 100 columns.

`LONG` words are the aim and `LIMIT` the most; a page may have one long sentence in twenty.
Provenance, measurements and the changelog tell history: figures, commits and long sentences are
theirs.
"""

import re

import pytest

from tests.docs.test_links import ROOT

LONG, LIMIT, SHARE = 25, 32, 0.05
COLUMNS, README_COLUMNS = 100, 80
HISTORY = {
    "docs/project/provenance.md",
    "docs/project/measurements.md",
    "docs/project/changelog.md",
}
# Words that tell what was, and what a stranger did not see.
PAST = (
    r"no longer|anymore|previously|formerly|former(?!\b.*attack)|came later|once more|used to be"
    r"|until now|as before|as ever|these days|recently|already landed|nowadays"
)
COMMIT = r"(?<![-\w])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,40}(?![-\w])"
# Three decimals are a measured figure; budgets and settings have fewer.
FIGURE = r"(?<![\w.])0\.\d{3,}|(?<![\w.])\d+(?:\.\d+)? ?%"
GENERATED = re.compile(r"<!-- table: .*?<!-- end of table -->", re.DOTALL)
FENCED = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
# What is no prose: headings, tables, indented code, pictures, comments, what is included.
OTHER = re.compile(r"^(?:#.*|\|.*|    .*|!\[.*|<.*|:::.*|--8<--.*)$", re.MULTILINE)


def pages():
    """Path from the root -> text, of what people read first to last."""
    names = ["README.md", "BUILD.md", "CONTRIBUTING.md", "SECURITY.md"]
    found = [ROOT / name for name in names] + sorted((ROOT / "docs").glob("*.md"))
    found += [path for folder in sorted((ROOT / "docs").iterdir()) for path in folder.glob("*.md")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in found}


PAGES = pages()
PLAIN = sorted(set(PAGES) - HISTORY)


def prose(text):
    """A page without code, tables, headings and what is generated."""
    return OTHER.sub("\n", FENCED.sub("\n", GENERATED.sub("\n", text)))


def sentences(text):
    """The sentences of a page; an item of a list is at least one."""
    # A link counts as its words, code in backticks as one.
    plain = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", prose(text))
    plain = re.sub(r"`[^`]*`", "code", plain)
    found = []
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )", plain):
        words = " ".join(block.split())
        found += re.split(r"(?<=[.!?:;])\s+(?=[A-Z*\"(]|code)", words)
    return [each for each in found if len(each.split()) > 1]


def long_sentences(text, words):
    return [each for each in sentences(text) if len(each.split()) > words]


@pytest.mark.parametrize("name", PLAIN)
def test_sentences_are_short(name):
    every = sentences(PAGES[name])
    assert long_sentences(PAGES[name], LIMIT) == []
    long = long_sentences(PAGES[name], LONG)
    assert len(long) <= max(1, SHARE * len(every)), long


@pytest.mark.parametrize("name", PLAIN)
def test_no_history_and_no_commits(name):
    text = re.sub(r"\s+", " ", prose(PAGES[name]))
    assert re.findall(rf".{{0,40}}\b(?:{PAST})\b.{{0,20}}", text, re.IGNORECASE) == []
    assert re.findall(COMMIT, text) == []


@pytest.mark.parametrize("name", PLAIN)
def test_no_figures_by_hand(name):
    """Prose says what figures mean; tables that are generated hold them."""
    text = re.sub(r"`[^`]*`|95%", "", prose(PAGES[name]))
    assert re.findall(rf".{{0,40}}(?:{FIGURE})", text) == []


@pytest.mark.parametrize("name", sorted(PAGES))
def test_lines_are_within_100_columns(name):
    """But for tables and messages that are quoted whole; of a link its text counts."""
    text = GENERATED.sub("", PAGES[name])
    if name == "docs/start/tutorial.md":  # code of the notebook
        text = FENCED.sub("", text)
    if name in HISTORY:  # what programs printed
        text = FENCED.sub("", OTHER.sub("", text))
    lines = re.sub(r"\]\([^)]*\)", "]", text).splitlines()
    free = ("|", "**`")
    long = [line for line in lines if len(line) > COLUMNS and not line.startswith(free)]
    # A word that is longer than a line allows no better.
    assert [line for line in long if max(map(len, line.split())) < 60] == []


def test_code_of_readme_fits_80_columns():
    code = "\n".join(FENCED.findall(PAGES["README.md"]))
    indented = re.findall(r"^    .*$", PAGES["README.md"], re.MULTILINE)
    lines = [*code.splitlines(), *indented]
    assert len(lines) > 30
    assert [line for line in lines if len(line) > README_COLUMNS] == []


def test_readme_is_short():
    text = PAGES["README.md"]
    assert len(text.split()) <= 900
    assert len(text.splitlines()) <= 140


def test_the_rules_find_what_they_are_for():
    """So that silence says something."""
    text = (
        "It no longer does, as of 39a7d41, and keeps 0.929.\n\n- "
        + "word " * 40
        + "\n\n| `a` | 0.929 |\n\n```\n0.929\n```\n"
    )
    assert len(long_sentences(text, LIMIT)) == 1
    assert re.search(PAST, prose(text)) and re.findall(COMMIT, prose(text)) == ["39a7d41"]
    assert re.findall(FIGURE, prose(text)) == ["0.929"]
    assert "code" in sentences("`evaluate` warns of `a` and `b c`.")[0]
    assert len(sentences("One is here. Two is `x`: Three follows; Four ends.\n- five six\n")) == 5
