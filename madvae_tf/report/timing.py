"""How long a defence takes for an image, one at a time and in batches."""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report import summary
from madvae_tf.report.names import DEFENSES, Row
from madvae_tf.report.seeds import mean_rows, seeds_of
from madvae_tf.report.table import Cell, Figure, Table


def section(rows: Sequence[Row], run: Mapping[str, Any]) -> list[Table]:
    """Milliseconds per image, defences in rows and batch sizes in columns; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "time"])
    if not found:
        return []
    batches = sorted({row["parameters"]["batch"] for row in found})
    body = []
    for defense, title in DEFENSES.items():
        own = [row for row in found if row["defense"] == defense]
        cells = [Cell(figures=_figures(own, batch)) for batch in batches]
        body += [(Cell(title), *cells)] if own else []
    cores = (run.get("machine") or {}).get("cores")
    machine = f", on {cores} CPU cores" if cores else ""
    text = (
        f"Of the whole system, defence and classifier{machine}; No defence is the classifier "
        f"alone. Clean images, {summary.seed_list(seeds_of(found))}; the median where a number of "
        f"rounds is given.{summary.several_seeds(found)}"
    )
    heads = ["One image at a time" if batch == 1 else f"In batches of {batch}" for batch in batches]
    columns = [*map(Cell, ("Defence", *heads))]
    return [Table("image-time", "Milliseconds per image.", text, columns, body, kind="grid")]


def milliseconds(value: float) -> str:
    """Three digits that mean something: "0.123", "1.23", "12.3", "1235"."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{decimals}f}"


def _figures(rows: Sequence[Row], batch: int) -> tuple[Figure, ...]:
    figures = []
    for row in (row for row in rows if row["parameters"]["batch"] == batch):
        rounds = row["parameters"].get("rounds")
        note = "" if rounds is None else f"{rounds} rounds"
        figures.append(Figure.of(row, unit="ms", note=note, show=milliseconds))
    return tuple(figures)
