"""Cells of the tables beside Table 1: rows of one place in a table -> HTML, none of them lost.

Two rows of one place usually are two metrics of one measurement. Where they are two measurements (other parameters,
another n), the cell shows both, each with what sets it apart.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from madvae_tf.report.markup import DASH, attack_title, kept, number, parameters, seed_list
from madvae_tf.report.names import IDENTITY, Row
from madvae_tf.report.seeds import seeds_of
from madvae_tf.report.summary import span

GRID = ' class="grid"'
Block = dict[str, Row]


def blocks(rows: Sequence[Row]) -> list[Block]:
    """The measurements among the rows of one cell, each metric -> row, in the order of the rows."""
    found: dict[str, Block] = {}
    for row in rows:
        shared = [row[name] for name in (*IDENTITY, "n") if name not in ("metric", "seed")]
        block = found.setdefault(key(shared), {})
        block[row["metric"]] = row
    return list(found.values())


@dataclass(frozen=True)
class Head:
    """What the head of a table's row says of the sample.

    Attributes:
        text: like "n = 4000 clean, 1000 attacked · seed 0".
        show_n: the row's cells differ more than the text says, so each must show its n.
        seeds: those of any cell.
    """

    text: str
    show_n: bool
    seeds: tuple[int, ...]


def draw_accuracy(block: Block) -> str:
    """For `cell`: a measurement's accuracy."""
    return kept(block.get("accuracy"), None)


def cell(
    rows: Sequence[Row], draw: Callable[[Block], str], head: Head, usual: Mapping[str, Any] | None = None
) -> str:
    """A cell's HTML, a dash without rows.

    Args:
        rows: of this cell, each seed's or their mean.
        draw: a measurement's HTML.
        head: of the cell's row.
        usual: the parameters that the column's head names; a cell shows others. None: it shows none.
    """
    found = blocks(rows)
    parts = []
    for block in found:
        first = next(iter(block.values()))
        notes = []
        many = len(found) > 1
        if many or (usual is not None and first["parameters"] != usual):
            notes.append(parameters(first["parameters"]))
        if many or head.show_n:
            notes.append(f"n = {first['n']}")
        if many:
            notes.append(first["threat_model"])
        seeds = seeds_of(list(block.values()))
        # Without this a cell of one seed would look like one of all the row's seeds.
        if seeds != head.seeds:
            notes.append(f"{seed_list(seeds)} alone")
        detail = f'<span class="detail">{" · ".join(notes)}</span>' if notes else ""
        parts.append(draw(block) + detail)
    return "".join(parts) or DASH


def head_of(rows: Sequence[Row]) -> Head:
    """The head of a table's row from the rows of all its cells."""
    clean = {row["n"] for row in rows if row["attack"] == "none"}
    attacked = {row["n"] for row in rows if row["attack"] != "none"}
    seeds = seeds_of(rows)
    if len(clean) == len(attacked) == 1 and clean != attacked:
        return Head(f"n = {span(clean)} clean, {span(attacked)} attacked · {seed_list(seeds)}", False, seeds)
    both = clean | attacked
    return Head(f"n = {span(both)} · {seed_list(seeds)}", len(both) > 1, seeds)


def column_head(attack: str, given: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """A column's head: the attack, and its parameters unless Table 1 has it under these alone.

    Args:
        attack, given: of the column.
        rows: of the whole report.
    """
    settings = {key(row["parameters"]) for row in rows if (row["table"], row["attack"]) == ("table1", attack)}
    detail = "" if settings == {key(given)} else f'<span class="detail">{parameters(given)}</span>'
    return attack_title(attack) + detail


def points(row: Row, ours: Row | None) -> str:
    """The difference of two rates in points, such as "−12.3 points"; nothing without the other."""
    if ours is None:
        return ""
    # Rounded first, so that no difference is "−0.0".
    difference = round(100 * (row["value"] - ours["value"]), 1) + 0.0
    return f"{'−' if difference < 0 else '+'}{abs(difference):.1f} points"


def paper_figure(value: float) -> str:
    """A figure of the paper that stands alone in a cell."""
    return f'<span class="agreement"><i>agreement</i> {number(value)}</span>'


def key(value: Any) -> str:
    """A value of JSON as a dictionary's key."""
    return json.dumps(value, sort_keys=True)
