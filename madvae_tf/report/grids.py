"""Rows of results.json -> tables with lines (such as defences) and columns (such as attacks).

Two rows of one place in a table usually are two metrics of one measurement. Where they are two
measurements (other parameters, another n), the cell shows both, each with what sets it apart: no
row is lost.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from madvae_tf.report.names import DEFENSES, IDENTITY, Row, attack_title, parameters_text
from madvae_tf.report.seeds import seeds_of
from madvae_tf.report.summary import seed_list, span
from madvae_tf.report.table import Cell, Figure, Table

# Metric -> its label in a cell; of other metrics a cell shows nothing.
Labels = Mapping[str, str]
ACCURACY: Labels = {"accuracy": ""}
BOTH: Labels = {"accuracy": "", "agreement": "agreement"}
Block = dict[str, Row]


def key(value: Any) -> str:
    """A value of JSON as a dictionary's key."""
    return json.dumps(value, sort_keys=True)


def blocks(rows: Sequence[Row]) -> list[Block]:
    """The measurements among the rows of one cell, each metric -> row, in the order of the rows."""
    found: dict[str, Block] = {}
    for row in rows:
        shared = [row[name] for name in (*IDENTITY, "n") if name not in ("metric", "seed")]
        found.setdefault(key(shared), {})[row["metric"]] = row
    return list(found.values())


@dataclass(frozen=True)
class Sample:
    """What the head of a table's row says of the images behind its cells.

    Attributes:
        text: like "n = 4000 clean, 1000 attacked · seed 0".
        show_n: the row's cells differ more than the text says, so each must show its n.
        seeds: those of any cell.
    """

    text: str
    show_n: bool
    seeds: tuple[int, ...]


def sample_of(rows: Sequence[Row]) -> Sample:
    """The sample of a table's row, from the rows of all its cells."""
    clean = {row["n"] for row in rows if row["attack"] == "none"}
    attacked = {row["n"] for row in rows if row["attack"] != "none"}
    seeds = seeds_of(rows)
    if len(clean) == len(attacked) == 1 and clean != attacked:
        text = f"n = {span(clean)} clean, {span(attacked)} attacked · {seed_list(seeds)}"
        return Sample(text, False, seeds)
    both = clean | attacked
    return Sample(f"n = {span(both)} · {seed_list(seeds)}", len(both) > 1, seeds)


def cell(
    rows: Sequence[Row],
    sample: Sample,
    labels: Labels = ACCURACY,
    usual: Mapping[str, Any] | None = None,
    change: Callable[[Row], Mapping[str, Any]] = lambda row: {},
) -> Cell:
    """The cell of some rows, which differ in their metric or are several measurements.

    Args:
        rows: of this cell, each seed's or their mean.
        sample: of the cell's row.
        labels: the metrics to show, in this order.
        usual: the parameters that the column's head names; a cell shows others. None: it shows
            none.
        change: further fields of a row's `Figure`.
    """
    found = blocks(rows)
    many = len(found) > 1
    figures: list[Figure] = []
    for block in found:
        first = next(iter(block.values()))
        notes = []
        if many or (usual is not None and first["parameters"] != usual):
            notes.append(parameters_text(first["parameters"]))
        if many or sample.show_n:
            notes.append(f"n = {first['n']}")
        if many:
            notes.append(first["threat_model"])
        seeds = seeds_of(list(block.values()))
        # Without this a cell of one seed would look like one of all the row's seeds.
        if seeds != sample.seeds:
            notes.append(f"{seed_list(seeds)} alone")
        shown = [
            Figure.of(block[metric], label=label, **change(block[metric]))
            for metric, label in labels.items()
            if metric in block
        ]
        if shown and notes:
            note = " · ".join(filter(None, (shown[-1].note, *notes)))
            shown[-1] = replace(shown[-1], note=note)
        figures += shown
    return Cell(figures=tuple(figures))


@dataclass(frozen=True)
class Line:
    """A row of a `grid`: its head, small print behind its sample, and the rows of its cells."""

    title: str
    rows: Sequence[Row]
    notes: tuple[str, ...] = ()


def grid(
    name: str,
    title: str,
    text: str,
    columns: Mapping[Any, str | Cell],
    lines: Iterable[Line],
    column: Callable[[Row], Any],
    draw: Callable[[Sequence[Row], Sample, Any], Cell] = lambda rows, sample, key: cell(
        rows, sample
    ),
    corner: str = "Defence",
) -> Table:
    """A table of rows by line and column.

    Args:
        name, title, text: see `Table`.
        columns: key -> head.
        lines: one for each row of the table.
        column: the key of the column that a row stands in.
        draw: rows, sample and key of the column -> cell.
        corner: the head of the first column.
    """
    heads = [head if isinstance(head, Cell) else Cell(head) for head in columns.values()]
    body = []
    for line in lines:
        sample = sample_of(line.rows)
        cells = [
            draw([row for row in line.rows if column(row) == key], sample, key) for key in columns
        ]
        body.append((Cell(line.title, (sample.text, *line.notes)), *cells))
    return Table(name, title, text, (Cell(corner), *heads), body, kind="grid")


def by_defense(rows: Sequence[Row]) -> list[Line]:
    """A line for each defence, in the order of `DEFENSES`."""
    groups = {name: [row for row in rows if row["defense"] == name] for name in DEFENSES}
    return [Line(DEFENSES[name], own) for name, own in groups.items() if own]


def column_head(attack: str, given: Mapping[str, Any], rows: Sequence[Row]) -> Cell:
    """A column's head: the attack, and its parameters unless Table 1 has it under these alone.

    Args:
        attack, given: of the column.
        rows: of the whole report.
    """
    settings = {
        key(row["parameters"])
        for row in rows
        if (row["table"], row["attack"]) == ("table1", attack)
    }
    return Cell(attack_title(attack), () if settings == {key(given)} else (parameters_text(given),))


def points(row: Row, ours: Row | None) -> str:
    """The difference of two rates in points, such as "−12.3 points"; nothing without the other."""
    if ours is None:
        return ""
    # Rounded first, so that no difference is "−0.0".
    difference = round(100 * (row["value"] - ours["value"]), 1) + 0.0
    return f"{'−' if difference < 0 else '+'}{abs(difference):.1f} points"
