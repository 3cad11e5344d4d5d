"""Tables 2, 8, 9 and 10: which classes each variant confuses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from madvae_tf.report import paper
from madvae_tf.report.names import (
    ATTACKS,
    CONFUSION_TABLES,
    DEFENSES,
    POOLED_ATTACK,
    Row,
    class_names,
)
from madvae_tf.report.parts import Part, paragraph
from madvae_tf.report.table import Cell, Figure, Table, number
from madvae_tf.report.table1 import setting_of


@dataclass
class Confusion:
    """A confusion matrix and its per-class accuracy, ours and the paper's.

    Attributes:
        counts: (classes, classes) integers, [predicted, true].
        per_class: per true label the share predicted right, None for a label without images.
        overall: the share of all images predicted right, None without images.
        paper_per_class: as the paper prints it, None on another dataset.
        paper_overall: from the paper's counts, None on another dataset.
    """

    table: str
    defense: str
    threat_model: str
    n: int
    seed: int
    counts: np.ndarray
    per_class: list[float | None]
    overall: float | None
    paper_per_class: tuple[float, ...] | None
    paper_overall: float | None


def section(rows: Sequence[Row], run: Mapping[str, Any]) -> list[Part | Table]:
    """A table for each matrix, of many classes one of the most frequent confusions; nothing without
    any.
    """
    listed = [row for row in rows if row["table"] in CONFUSION_TABLES and "of" in row["parameters"]]
    if listed:
        return [_listed(group, run) for group in _groups(listed)]
    found = confusions(rows)
    if not found:
        return []
    note = (
        "Compare the per-class accuracies with the paper’s, not the counts: the paper counts "
        "30,000 images. The three sets attack the same images, so their errors are not "
        "independent and no interval is given."
    )
    names: set[str] = set()
    parts: list[Part | Table] = [paragraph(note)]
    for index, matrix in enumerate(found):
        # One table of the paper can occur twice, with two seeds: the names must differ.
        parts.append(
            _table(
                matrix,
                f"{matrix.table}-{index}" if matrix.table in names else matrix.table,
                class_names(run, len(matrix.counts)),
            )
        )
        names.add(matrix.table)
    return parts


def _listed(group: Sequence[Row], run: Mapping[str, Any]) -> Table:
    """The most frequent confusions of one variant, a line each."""
    first = group[0]
    pairs = [(row["parameters"]["true"], row["parameters"]["predicted"]) for row in group]
    names = class_names(run, 1 + max(map(max, pairs)))
    body = [
        (
            *(Cell(names[label]) for label in pair),
            Cell(str(row["value"]), order=row["value"]),
            Cell(str(row["parameters"]["of"]), order=row["parameters"]["of"]),
            Cell(figures=(Figure(row["value"] / row["parameters"]["of"], n=row["n"]),)),
        )
        for pair, row in zip(pairs, group, strict=True)
    ]
    text = (
        f"Images of the {ATTACKS[POOLED_ATTACK]} test sets together: the most frequent confusions."
        f" n = {first['n']}, seed {first['seed']}, threat model: {first['threat_model']}."
    )
    heads = ("True", "Predicted", "Images", "Of", "Share")
    return Table(first["table"], _title(first["table"]), text, [*map(Cell, heads)], body)


def _title(table: str) -> str:
    return f"Table {table.removeprefix('table')}. {DEFENSES[CONFUSION_TABLES[table]]}."


def _table(matrix: Confusion, name: str, names: Sequence[str]) -> Table:
    """Predicted labels in rows and true labels in columns, shaded by share of the column."""
    totals = matrix.counts.sum(axis=0)
    body = []
    for predicted in range(len(names)):
        cells = [Cell(names[predicted])]
        for true in range(len(names)):
            count, total = int(matrix.counts[predicted, true]), int(totals[true])
            share = count / total if total else 0.0
            # Errors are rare, so their shade rises with the square root or no error would be seen.
            shade = 0.5 * share if predicted == true else min(0.75, 1.5 * share**0.5)
            pair = f"predicted {names[predicted]}, true {names[true]}"
            detail = f"{pair}: {count} of {total} ({share:.2%})"
            kind = "hit" if predicted == true else "miss"
            cells.append(Cell(str(count), kind=kind, share=shade, detail=detail))
        body.append(cells)
    per_class = [_share(value, matrix.n // len(names)) for value in matrix.per_class]
    foot = [[Cell("Accuracy, ours"), *per_class]]
    paper_share = ""
    if matrix.paper_per_class is not None:
        foot.append(
            [Cell("Accuracy, paper"), *(Cell(f"{value:.2f}") for value in matrix.paper_per_class)]
        )
        paper_share = f" (the paper: {number(matrix.paper_overall)} of 30000)"
    text = (
        f"Images of the {ATTACKS[POOLED_ATTACK]} test sets together: predicted label in rows, "
        "true label in columns. Blue: right; orange: wrong; deeper: a larger share of its "
        f"column. {number(matrix.overall, matrix.n)} of {int(totals.sum())} images are "
        f"right{paper_share}. n = {matrix.n}, seed {matrix.seed}, threat model: "
        f"{matrix.threat_model}. Last rows: the share of each true label that is right."
    )
    columns = [Cell(notes=("predicted ↓ true →",)), *map(Cell, names)]
    return Table(name, _title(matrix.table), text, columns, body, foot, kind="confusion")


def _share(value: float | None, n: int) -> Cell:
    return Cell() if value is None else Cell(figures=(Figure(value, n=n),))


def confusions(rows: Sequence[Row]) -> list[Confusion]:
    """The confusion matrices of the rows, in the order of the paper's tables; absent cells are 0."""  # noqa: E501
    return [_confusion(group) for group in _groups(rows)]


def _groups(rows: Sequence[Row]) -> list[list[Row]]:
    """The rows of each matrix, in the order of the paper's tables."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["table"] in CONFUSION_TABLES:
            setting = setting_of(row, drop=("true", "predicted", "of"))
            groups.setdefault((row["table"], setting), []).append(row)
    order = list(CONFUSION_TABLES)
    return [group for _, group in sorted(groups.items(), key=lambda x: order.index(x[0][0]))]


def _confusion(group: list[Row]) -> Confusion:
    classes = 1 + max(
        max(row["parameters"]["predicted"], row["parameters"]["true"]) for row in group
    )
    counts = np.zeros((classes, classes), dtype=np.int64)
    for row in group:
        counts[row["parameters"]["predicted"], row["parameters"]["true"]] = row["value"]
    totals = counts.sum(axis=0)
    first = group[0]
    known = first["dataset"] == paper.DATASET
    printed = np.array(paper.CONFUSION[first["defense"]])
    return Confusion(
        **{name: first[name] for name in ("table", "defense", "threat_model", "n", "seed")},
        counts=counts,
        per_class=[float(counts[c, c] / totals[c]) if totals[c] else None for c in range(classes)],
        overall=float(np.trace(counts) / totals.sum()) if totals.sum() else None,
        paper_per_class=paper.PER_CLASS_ACCURACY[first["defense"]] if known else None,
        paper_overall=float(np.trace(printed) / printed.sum()) if known else None,
    )
