"""Rows -> the structures that the page shows: lines of Tables 1 and 4, confusion matrices, what is left over.

Nothing here is HTML; see `markup`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from madvae_tf.report import paper
from madvae_tf.report.names import (
    ATTACKS,
    BLACK_BOX_TABLES,
    CONFUSION_TABLES,
    DEFENSES,
    FIELDS,
    Row,
)
from madvae_tf.report.seeds import mean_rows, seeds_of

CLASSES = 10
# The tables with a section of their own.
SHOWN_TABLES = {"table1", "table4", "attacks", "baselines", "clusters", "reference", "robustness", "time"}
SHOWN_TABLES |= {"natural", "detection"}
SHOWN_TABLES |= {*CONFUSION_TABLES, *BLACK_BOX_TABLES}


@dataclass
class Cell:
    """One defence against one attack: its two rows, where they were measured; see `mean_rows` for several seeds."""

    accuracy: Row | None = None
    agreement: Row | None = None


@dataclass
class Line:
    """One attack setting of a table and what each defence kept under it; `seeds` are those of any cell."""

    dataset: str
    attack: str
    parameters: dict[str, Any]
    threat_model: str
    n: int
    seeds: tuple[int, ...] = ()
    cells: dict[str, Cell] = field(default_factory=dict)


def table1_lines(rows: Sequence[Row], table: str = "table1") -> list[Line]:
    """The lines of Table 1 in the order of `ATTACKS`; settings of one attack keep the order of the rows.

    Rows that differ only in their seed are one figure, their mean.

    Args:
        rows: of all tables.
        table: another table of the same form, such as "table4".
    """
    lines: dict[str, Line] = {}
    for row in mean_rows([row for row in rows if row["table"] == table]):
        line = Line(*(row[name] for name in ("dataset", "attack", "parameters", "threat_model", "n")))
        line = lines.setdefault(_setting(row, drop=(), among=("seed",)), line)
        line.seeds = tuple(sorted({*line.seeds, *seeds_of([row])}))
        cell = line.cells.setdefault(row["defense"], Cell())
        setattr(cell, row["metric"], row)
    order = list(ATTACKS)
    return sorted(lines.values(), key=lambda line: order.index(line.attack))


def defenses_of(lines: Sequence[Line]) -> list[str]:
    """The defences that any line has, in the order of `DEFENSES`."""
    return [name for name in DEFENSES if any(name in line.cells for line in lines)]


def rows_of(lines: Sequence[Line]) -> list[Row]:
    """Every row in the lines' cells."""
    cells = [cell for line in lines for cell in line.cells.values()]
    return [row for cell in cells for row in (cell.accuracy, cell.agreement) if row is not None]


def best_defense(line: Line) -> str | None:
    """The defence whose accuracy is best beyond the intervals, or None.

    The best is named only where its 95% interval lies wholly above that of every other defence: Wilson's interval of
    a value of one seed, the t-interval of the mean over several.
    """
    measured = {name: cell.accuracy for name, cell in line.cells.items() if cell.accuracy is not None}
    if len(measured) < 2 or any(row["ci_low"] is None for row in measured.values()):
        return None
    best = max(measured, key=lambda name: measured[name]["value"])
    others = max(row["ci_high"] for name, row in measured.items() if name != best)
    return best if measured[best]["ci_low"] > others else None


@dataclass
class Confusion:
    """A confusion matrix and its per-class accuracy, ours and the paper's.

    Attributes:
        counts: (10, 10) integers, [predicted, true].
        per_class: per true label the share predicted right, None for a label without images.
        overall: the share of all images predicted right, None without images.
        paper_per_class: as the paper prints it, None on another dataset.
        paper_overall: from the paper's counts, None on another dataset.
    """

    table: str
    dataset: str
    attack: str
    defense: str
    threat_model: str
    n: int
    seed: int
    counts: np.ndarray
    per_class: list[float | None]
    overall: float | None
    paper_per_class: tuple[float, ...] | None
    paper_overall: float | None


def confusions(rows: Sequence[Row]) -> list[Confusion]:
    """The confusion matrices that the rows hold, in the order of the paper's tables; absent cells are 0."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["table"] in CONFUSION_TABLES:
            setting = _setting(row, drop=("true", "predicted"))
            groups.setdefault((row["table"], setting), []).append(row)
    order = list(CONFUSION_TABLES)
    return [
        _confusion(group) for (table, _), group in sorted(groups.items(), key=lambda x: order.index(x[0][0]))
    ]


def _confusion(group: list[Row]) -> Confusion:
    counts = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    for row in group:
        counts[row["parameters"]["predicted"], row["parameters"]["true"]] = row["value"]
    totals = counts.sum(axis=0)
    first = group[0]
    known = first["dataset"] == paper.DATASET
    printed = np.array(paper.CONFUSION[first["defense"]])
    return Confusion(
        **{
            name: first[name]
            for name in ("table", "dataset", "attack", "defense", "threat_model", "n", "seed")
        },
        counts=counts,
        per_class=[float(counts[c, c] / totals[c]) if totals[c] else None for c in range(CLASSES)],
        overall=float(np.trace(counts) / totals.sum()) if totals.sum() else None,
        paper_per_class=paper.PER_CLASS_ACCURACY[first["defense"]] if known else None,
        paper_overall=float(np.trace(printed) / printed.sum()) if known else None,
    )


def attack_lines(rows: Sequence[Row], run: dict[str, Any]) -> list[dict[str, Any]]:
    """One dict per attack setting: attack, parameters, n, and success_rate, mean_l2, mean_linf where known.

    The rows of table "attacks" come first (with `success_interval`); settings that only `run["attacks"]` knows follow.
    """
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["table"] != "attacks":
            continue
        blank = {name: row[name] for name in ("attack", "parameters", "threat_model", "n", "seed")}
        line = lines.setdefault(_setting(row, drop=()), blank)
        line[row["metric"]] = row["value"]
        if row["metric"] == "success_rate" and row["ci_low"] is not None:
            line["success_interval"] = (row["ci_low"], row["ci_high"])
    known = {(line["attack"], _key(line["parameters"])) for line in lines.values()}
    extra = [a for a in run.get("attacks") or [] if (a.get("attack"), _key(a.get("parameters"))) not in known]
    order = list(ATTACKS)
    both = [*lines.values(), *extra]
    return sorted(both, key=lambda a: order.index(a["attack"]) if a.get("attack") in order else len(order))


def other_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that no table of the page's own shows."""
    return [row for row in rows if row["table"] not in SHOWN_TABLES]


def flatten(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields ("section.key", value) of a nested dict, as `--set` would spell it."""
    if isinstance(config, dict) and config:
        for key, value in config.items():
            yield from flatten(value, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix, config


def _setting(row: Row, drop: tuple[str, ...], among: tuple[str, ...] = ()) -> str:
    """What rows of one line or one matrix share: all but defence, metric, what was measured, and `among`."""
    measured = ("defense", "metric", "value", "ci_low", "ci_high", "paper", "parameters", *among)
    shared: list[Any] = [row[name] for name in FIELDS if name not in measured]
    shared.append({key: value for key, value in row["parameters"].items() if key not in drop})
    return _key(shared)


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
