"""Tables of results in README and docs/: regenerating them changes nothing; README's figures are
those of the rows.
"""

import json
import re

import pytest

from madvae_tf.utils.errors import UserError
from tests.programs import DOCS, script

make_tables = script("make_tables")
PAGES = make_tables.pages()
NAMES = [path.relative_to(make_tables.ROOT).as_posix() for path in PAGES]
FIGURE = re.compile(r"(\d\.\d+) \[(\d\.\d+), (\d\.\d+)\] \(([^()]*?)n = (\d+)\)")
# README's names of the systems, in its table's order.
SYSTEMS = {"Classifier alone": "none", "Proximity and distance": "pd", "Robust": "robust"}


@pytest.mark.parametrize("path", PAGES, ids=NAMES)
def test_regenerating_changes_nothing(path):
    text = path.read_text(encoding="utf-8")
    assert make_tables.filled(text) == text, "run `make tables`"


def test_every_page_of_results_has_tables():
    for path in (DOCS.parent / "README.md", *sorted((DOCS / "results").glob("*.md"))):
        assert make_tables.MARKED.search(path.read_text(encoding="utf-8")), path.name


def _rows_of_readme():
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {
        row[0].partition(" (")[0]: row[1:] for row in cells if row[0].startswith(tuple(SYSTEMS))
    }


def test_the_figures_of_readme_are_those_of_the_rows():
    """Read from results.json here, without the report's code: value, interval and n."""
    results = json.loads((DOCS / "results" / "published" / "results.json").read_text())
    rows = [row for row in results["rows"] if row["metric"] == "accuracy"]
    table = _rows_of_readme()
    assert list(table) == list(SYSTEMS)
    for title, (clean, unaware, aware) in table.items():
        own = [row for row in rows if row["defense"] == SYSTEMS[title]]
        linf = [
            row
            for row in own
            if (row["parameters"].get("norm"), row["parameters"].get("epsilon")) == ("linf", 0.3)
        ]
        wanted = {
            clean: [row for row in own if row["attack"] == "none" and row["table"] == "table1"],
            unaware: [row for row in own if row["threat_model"] == "oblivious"],
            aware: [
                row
                for row in linf
                if (row["attack"], row["threat_model"]) == ("worst_case", "end_to_end")
            ],
        }
        for cell, candidates in wanted.items():
            told = FIGURE.findall(cell)
            assert told, cell
            known = {
                (*(_shown(row, name) for name in ("value", "ci_low", "ci_high")), str(row["n"]))
                for row in candidates
            }
            assert {(*figures[:3], figures[4]) for figures in told} <= known, (title, cell)


def _shown(row, name):
    return f"{row[name]:.{3 if row['n'] <= 1000 else 4}f}"


def test_words_of_a_comment_change_the_table():
    plain = make_tables.markdown("published natural")
    assert plain.startswith("**Without")
    turned = make_tables.markdown("published natural transposed rows=^contrast nocaption")
    head, _, *lines = turned.splitlines()
    assert "No defence" in head and "Robust" in head
    assert [line.split(" (severity ")[0] for line in lines] == ["| contrast"] * 3
    one = make_tables.markdown("published verdict-linf-0-3 columns=^Overpowered nocaption")
    assert one.splitlines()[0] == "| Defence | Overpowered, end to end |"
    assert "purify, batch 1 " in make_tables.markdown("benchmarks latency")


@pytest.mark.parametrize(
    "wanted",
    [
        "published verdict",
        "nothing table1",
        "published natural sideways",
        "published natural rows=^nobody",
        "benchmarks nothing",
    ],
)
def test_a_comment_that_asks_for_what_is_not_there_is_refused(wanted):
    with pytest.raises(UserError):
        make_tables.markdown(wanted)


def test_a_table_of_old_figures_is_written_anew():
    old = "<!-- table: published short -->\n\n| 0.999 |\n\n<!-- end of table -->"
    text = f"# A page\n\n{old}\n\nAfter.\n"
    new = make_tables.filled(text)
    assert "0.999" not in new and new.startswith("# A page\n") and new.endswith("\nAfter.\n")
    assert make_tables.filled(new) == new
