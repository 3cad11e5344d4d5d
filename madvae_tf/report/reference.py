"""What each setting of the released code costs: our vanilla purifier with that setting, trained anew."""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report import paper, summary
from madvae_tf.report.grids import GRID, Block, Head, cell, column_head, head_of, key, paper_figure, points
from madvae_tf.report.markup import DASH, kept, optional, table, text
from madvae_tf.report.names import ATTACKS, Row
from madvae_tf.report.seeds import mean_rows

# What a row of this table says beside the attack's parameters.
_OWN = ("setting", "difference", "epochs")
INTRODUCTION = (
    "<p>The paper’s Table 1 is agreement with the classifier’s own prediction on the clean image, so only our agreement compares with "
    "it. The released code averages the reconstruction loss over pixels and the KL term over latent dimensions, and weighs the second "
    "by β = 0.1. In the ELBO, where both are sums, that β is 0.1 · 784 / 128 = 0.61, six times what the same number weighs here, and "
    "for a long time the latent code then says next to nothing about the image. Its training pairs hold no clean images, and its vanilla "
    "model trains for 5 epochs. The table trains our vanilla purifier anew with one or more such settings; its first row is ours, unchanged. "
    "It shows what a setting costs here, and does not prove what happened in the paper’s own run.</p>"
)


def section(rows: Sequence[Row]) -> str:
    """The introduction and the table of settings; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "reference"])
    if not found:
        return ""
    # One column per attack setting; each setting of the code is a line, in the order of the rows.
    columns: dict[str, tuple[str, dict[str, Any]]] = {}
    lines: dict[str, list[Row]] = {}
    for row in found:
        columns.setdefault(_column(row), (row["attack"], _attack(row)))
        lines.setdefault(row["parameters"]["setting"], []).append(row)
    order = sorted(columns, key=lambda name: [*ATTACKS].index(columns[name][0]))
    first = next(iter(lines))
    ours = {(_column(row), row["metric"]): row for row in lines[first]}
    body = []
    for name, own in lines.items():
        first_cell, given = head_of(own), own[0]["parameters"]
        title = "".join(
            f'<span class="detail">{part}</span>'
            for part in (text(given["difference"]), optional(given, "epochs", "{} epochs"), first_cell.text)
            if part
        )
        others = {} if name == first else ours
        cells = [
            _cell([row for row in own if _column(row) == column], others, first_cell) for column in order
        ]
        body.append([text(name) + title, *cells])
    if all(row["dataset"] == paper.DATASET for row in found):
        body.append(_paper([columns[column][0] for column in order]))
    head = ["Setting", *(column_head(*columns[column], rows) for column in order)]
    caption = (
        "<b>The vanilla purifier under settings of the released code.</b> In each cell the accuracy against the label with its 95% Wilson "
        f"interval and the agreement with the classifier’s own clean prediction, each with its difference to the first row in percentage "
        f"points.{summary.several_seeds(found)} {summary.evidence(found)}."
    )
    return INTRODUCTION + table("reference", caption, head, body, attributes=GRID)


def _attack(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row["parameters"].items() if name not in _OWN}


def _column(row: Row) -> str:
    return key([row["attack"], _attack(row)])


def _cell(rows: Sequence[Row], ours: Mapping[tuple[str, str], Row], head: Head) -> str:
    def draw(block: Block) -> str:
        parts = []
        for metric in ("accuracy", "agreement"):
            if metric in block:
                row = block[metric]
                shown = kept(row, None) if metric == "accuracy" else kept(None, row)
                change = points(row, ours.get((_column(row), metric)))
                parts.append(shown + (f'<span class="points">{change}</span>' if change else ""))
        return "".join(parts)

    return cell(rows, draw, head)


def _paper(attacks: Sequence[str]) -> list[str]:
    """The paper's own vanilla figures, for the attacks that it measured."""
    figures = [paper.AGREEMENT.get(attack, {}).get("vanilla") for attack in attacks]
    title = 'The paper<span class="detail">Table 1, vanilla; n = 10000, oblivious</span>'
    return [title, *(DASH if value is None else paper_figure(value) for value in figures)]
