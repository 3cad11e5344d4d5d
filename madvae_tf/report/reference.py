"""Why the paper's figures are lower: our vanilla purifier with settings of the released code."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from madvae_tf.report import paper, summary
from madvae_tf.report.grids import BOTH, Line, Sample, cell, column_head, grid, key, points
from madvae_tf.report.names import ATTACKS, Row
from madvae_tf.report.parts import Part, paragraph
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Cell, Figure, Table

# What a row of this table says beside the attack's parameters.
_OWN = ("setting", "difference", "epochs")
INTRODUCTION = (
    "The paper’s Table 1 is agreement with the classifier’s own prediction on the clean image, "
    "so only our agreement compares with it. The released code averages the reconstruction loss "
    "over pixels and the KL term over latent dimensions, and weighs the second by β = 0.1. In "
    "the ELBO, where both are sums, that β is 0.1 · 784 / 128 = 0.61, six times what the same "
    "number weighs here, and for a long time the latent code then says next to nothing about the "
    "image. Its training pairs hold no clean images, and its vanilla model trains for 5 epochs. "
    "The table trains our vanilla purifier anew with one or more such settings; its first row is "
    "ours, unchanged. It shows what a setting costs here, and does not prove what happened in "
    "the paper’s own run."
)


def section(rows: Sequence[Row]) -> list[Part | Table]:
    """The introduction and the table of settings; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "reference"])
    if not found:
        return []
    # One column per attack setting; each setting of the code is a line, in the order of the rows.
    attacks: dict[str, tuple[str, dict[str, Any]]] = {}
    settings: dict[str, list[Row]] = {}
    for row in found:
        attacks.setdefault(_column(row), (row["attack"], _attack(row)))
        settings.setdefault(row["parameters"]["setting"], []).append(row)
    order = sorted(attacks, key=lambda name: [*ATTACKS].index(attacks[name][0]))
    lines = []
    for name, own in settings.items():
        given = own[0]["parameters"]
        epochs = "" if given.get("epochs") is None else f"{given['epochs']} epochs"
        lines.append(Line(name, own, tuple(filter(None, (given["difference"], epochs)))))
    first = next(iter(settings))
    ours = {(_column(row), row["metric"]): row for row in settings[first]}

    def change(row: Row) -> Mapping[str, Any]:
        own = row["parameters"]["setting"] == first
        return {"change": "" if own else points(row, ours.get((_column(row), row["metric"])))}

    def draw(rows: Sequence[Row], sample: Sample, column: str) -> Cell:
        return cell(rows, sample, BOTH, change=change)

    text = (
        "In each cell the accuracy against the label with its 95% Wilson interval and the "
        "agreement with the classifier’s own clean prediction, each with its difference to the "
        f"first row in percentage points.{summary.several_seeds(found)} {summary.evidence(found)}."
    )
    title = "The vanilla purifier under settings of the released code."
    heads = {column: column_head(*attacks[column], rows) for column in order}
    table = grid("reference", title, text, heads, lines, _column, draw, "Setting")
    if all(row["dataset"] == paper.DATASET for row in found):
        table = replace(table, rows=[*table.rows, _paper([attacks[column][0] for column in order])])
    return [paragraph(INTRODUCTION), table]


def _attack(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row["parameters"].items() if name not in _OWN}


def _column(row: Row) -> str:
    return key([row["attack"], _attack(row)])


def _paper(attacks: Sequence[str]) -> tuple[Cell, ...]:
    """The paper's own vanilla figures, for the attacks that it measured."""
    figures = [paper.AGREEMENT.get(attack, {}).get("vanilla") for attack in attacks]
    head = Cell("The paper", ("Table 1, vanilla; n = 10000, oblivious",))
    return head, *(
        Cell() if value is None else Cell(figures=(Figure(value, label="agreement"),))
        for value in figures
    )
