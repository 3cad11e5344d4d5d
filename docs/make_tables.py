"""Writes the tables of results into README.md and the pages of docs/: `python docs/make_tables.py`.

A table stands between two comments in Markdown, of which the first says where it comes from:

    <!-- table: published verdict-linf-0-3 -->
    <!-- end of table -->

`published` is a folder of docs/results: its results.json, or the finished stages in its artifacts.
`verdict-linf-0-3` is a table of the report, and `short` the result in three rows. Further words
change it: `transposed` exchanges rows and columns, `rows=TEXT` and `columns=TEXT` keep those whose
title matches TEXT, a regular expression with "_" for a space; `nocaption` leaves the caption out.
`benchmarks TEXT` is a table of benchmarks/results.json, of the questions that match TEXT.
Nothing is computed. With --check nothing is written, and the status is 1 where a file would change.
"""

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from madvae_tf.report import (
    attacks,
    baselines,
    black_box,
    clusters,
    confusion,
    curves,
    detection,
    opening,
    reference,
    result,
    robustness,
    table1,
    timing,
    tuning,
    verdict,
)
from madvae_tf.report.formats import to_markdown
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Cell, Table
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError, lookup

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "results"
MARKED = re.compile(r"<!-- table: (.+?) -->\n.*?<!-- end of table -->", re.DOTALL)
# What folders below these hold is made by other programs, or tells of one run.
_LEFT_OUT = re.compile(r"docs/(results|weights)/[^/]+/")


def pages() -> list[Path]:
    """The Markdown files that may hold tables."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [path for path in found if not _LEFT_OUT.match(path.relative_to(ROOT).as_posix())]


def filled(text: str) -> str:
    """A page's text with its tables as the results have them."""
    return MARKED.sub(
        lambda match: (
            f"<!-- table: {match[1]} -->\n\n{markdown(match[1])}\n\n<!-- end of table -->"
        ),
        text,
    )


def markdown(wanted: str) -> str:
    """The table that a comment asks for, in Markdown.

    Raises:
        UserError: there is no such folder or table, or a word is unknown.
    """
    source, name, *words = wanted.split()
    if source == "benchmarks":
        return _benchmarks(name)
    table = lookup(tables(source), name, f"table of docs/results/{source}")
    for word in words:
        key, _, value = word.partition("=")
        table = lookup(_CHANGES, key, "word of a table's comment")(table, value.replace("_", " "))
    text = to_markdown(table)
    return text.partition("\n\n")[2] if "nocaption" in words else text


@cache
def tables(source: str) -> dict[str, Table]:
    """The tables of a folder of docs/results by name."""
    run, rows = _read(RESULTS / source)
    systems = result.systems(rows)
    chosen = result.choice(systems)
    budget = chosen.budget if chosen else next(iter(result.budgets(systems)), None)
    parts: list[Any] = [
        *table1.tables(rows),
        *(attacks.section(rows, run) if any(row["table"] == "attacks" for row in rows) else []),
        *confusion.section(rows, run),
        *black_box.section(rows),
        *baselines.section(rows, run),
        *timing.section(rows, run),
        *clusters.measures(rows),
        *reference.section(rows),
        *tuning.section(run),
        *verdict.section(mean_rows([row for row in rows if row["table"] == "robustness"])),
        *robustness.section(rows, run.get("warnings", []), run),
        *curves.section(rows),
        *detection.section(rows),
    ]
    if systems:
        parts.append(opening.table(systems, result.budgets(systems)))
        short = opening.table(result.shortlist(systems), [budget] if budget else [])
        parts.append(dataclasses.replace(short, name="short"))
    return {part.name: part for part in parts if isinstance(part, Table)}


def _read(folder: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    if (folder / "results.json").exists():
        results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        return results["run"], results["rows"]
    stages = sorted(folder.glob("artifacts/robustness/*/rows.json"))
    if not stages:
        raise UserError(f"No results in {folder}: expected results.json or artifacts/robustness.")
    rows = [row for path in stages for row in json.loads(path.read_text(encoding="utf-8"))]
    return {}, rows


def _title(cell: Cell) -> str:
    return " ".join([cell.text, *cell.notes])


def _rows(table: Table, pattern: str) -> Table:
    kept = [row for row in table.body if re.search(pattern, _title(row[0]))]
    if not kept:
        raise UserError(f"No row of {table.name} matches {pattern!r}.")
    return _trimmed(dataclasses.replace(table, rows=kept, foot=()))


def _columns(table: Table, pattern: str) -> Table:
    """The first column, and those that match."""
    places = [
        place
        for place, cell in enumerate(table.columns)
        if not place or re.search(pattern, _title(cell))
    ]
    if len(places) < 2:
        raise UserError(f"No column of {table.name} matches {pattern!r}.")
    rows = [[row[place] if place < len(row) else Cell() for place in places] for row in table.body]
    columns = [table.columns[place] for place in places]
    return dataclasses.replace(table, columns=columns, rows=rows, foot=())


def _trimmed(table: Table) -> Table:
    """Without columns that have nothing in any row."""
    places = [
        place
        for place in range(len(table.columns))
        if not place or any(place < len(row) and _filled(row[place]) for row in table.body)
    ]
    rows = [[row[place] if place < len(row) else Cell() for place in places] for row in table.body]
    return dataclasses.replace(
        table, columns=[table.columns[place] for place in places], rows=rows, foot=()
    )


def _filled(cell: Cell) -> bool:
    return bool(cell.figures or cell.text)


def _transposed(table: Table, _: str) -> Table:
    columns = [Cell(""), *(row[0] for row in table.body)]
    rows = [
        [head, *(row[place] if place < len(row) else Cell() for row in table.body)]
        for place, head in enumerate(table.columns)
        if place
    ]
    return dataclasses.replace(table, columns=columns, rows=rows, foot=())


_CHANGES: dict[str, Callable[[Table, str], Table]] = {
    "rows": _rows,
    "columns": _columns,
    "transposed": _transposed,
    "nocaption": lambda table, _: table,
}


def _benchmarks(pattern: str) -> str:
    from benchmarks import table

    document = json.loads((ROOT / "benchmarks" / "results.json").read_text(encoding="utf-8"))
    kept = [row for row in document["rows"] if re.fullmatch(pattern, row["question"])]
    curves_of = document.get("curves") if re.fullmatch(pattern, "carlini_wagner") else None
    if not kept:
        raise UserError(f"No question of benchmarks/results.json matches {pattern!r}.")
    return table.markdown({**document, "rows": kept, "curves": curves_of}).strip()


def main(arguments: Iterable[str] | None = None) -> int:
    """Writes the pages; the status of the process."""
    parser = console.parser(__doc__ or "")
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args(arguments).check
    sys.path.insert(0, str(ROOT))
    changed = []
    for path in pages():
        text = path.read_text(encoding="utf-8")
        try:
            new = filled(text)
        except UserError as error:
            parser.error(f"{path.relative_to(ROOT)}: {error}")
        if new != text:
            changed.append(path.relative_to(ROOT).as_posix())
            if not check:
                path.write_text(new, encoding="utf-8")
    word = "would change" if check else "written"
    sys.stdout.writelines(f"{name}: {word}\n" for name in changed)
    return int(check and bool(changed))


if __name__ == "__main__":
    sys.exit(main())
