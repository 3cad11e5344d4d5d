"""Attackers who know of the defence: verdicts, tables by budget, curves, gradients, checklist."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from madvae_tf.report import baselines, checklist, curves, detection, natural, summary, verdict
from madvae_tf.report.grids import Line, Sample, cell, grid
from madvae_tf.report.names import (
    ATTACKS,
    DEFENSES,
    NORMS,
    THREAT_MODELS,
    Row,
    attack_title,
    budget_of,
    budget_title,
    restart_rows,
)
from madvae_tf.report.parts import Part
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Cell, Figure, Table

# Names that only sequences and the worst case carry; a single attack's parameters are in
# results.json.
_WORST = "worst_case"
_GRADIENTS = {
    "zero_gradient_share": "gradient exactly 0",
    "faint_gradient_share": "mean share of pixels where the gradient is faint",
    "other_sign_share": (
        "mean share of pixels where the gradient around the squash has another sign"
    ),
}


def section(
    rows: Sequence[Row], warnings: Sequence[Any], run: Mapping[str, Any]
) -> list[Part | Table]:
    """Everything of tables "robustness", "natural" and "detection"; nothing without rows.

    Of `run` come the notes on defences that no other table has.
    """
    found = mean_rows([row for row in rows if row["table"] == "robustness"])
    beside: list[Part | Table] = [*natural.section(rows), *detection.section(rows)]
    if not found:
        return beside
    elsewhere = {row["defense"] for row in rows if row["table"] in ("table4", "baselines")}
    return [
        *verdict.section(found),
        *baselines.notes({row["defense"] for row in found} - elsewhere, run),
        *_budgets(found),
        *curves.section(found),
        *_sanity(found),
        *beside,
        checklist.section(rows, warnings),
    ]


def _budgets(rows: Sequence[Row]) -> list[Table]:
    """For each budget: defences and threat models in lines, attacks in columns."""
    groups: dict[tuple[str, float], list[Row]] = {}
    for row in rows:
        if row["metric"] == "accuracy" and row["attack"] != curves.CURVE:
            groups.setdefault(budget_of(row), []).append(row)
    budgets = sorted(groups, key=lambda budget: (list(NORMS).index(budget[0]), budget[1]))
    return [_budget(groups[budget], *budget) for budget in budgets]


def _budget(found: Sequence[Row], norm: str, epsilon: float) -> Table:
    columns = {
        name: title
        for name, title in ATTACKS.items()
        if any(row["attack"] == name for row in found)
    }
    lines = []
    for defense, title in DEFENSES.items():
        for model in THREAT_MODELS:
            own = [
                row for row in found if (row["defense"], row["threat_model"]) == (defense, model)
            ]
            lines += [Line(title, own, (model,))] if own else []
    text = (
        "Accuracy against the label with its 95% Wilson interval. “then” columns: AutoAttack’s "
        "sequence, each attack on the images that the attacks before it failed on. Worst case: "
        "an image counts as right only if no attack of the line fooled it; an attack with a "
        "smaller n met so many of the images only, and the others count as right under it; “of "
        f"all” takes every threat model’s attacks together.{summary.several_seeds(found)} "
        f"{summary.evidence(found)}."
    )
    name = f"robustness-{norm}-{epsilon:g}".replace(".", "-")
    title = f"{NORMS[norm]} budget {epsilon:g}."
    return grid(name, title, text, columns, lines, lambda row: row["attack"], _draw)


def _draw(rows: Sequence[Row], sample: Sample, attack: str) -> Cell:
    if attack != _WORST:
        return cell(rows, sample)
    figures = []
    for row in rows:
        notes = {"over": "of all", "met": f"of the {row['n']} that met every attack"}
        note = ", ".join(note for name, note in notes.items() if name in row["parameters"])
        figures.append(replace(Figure.of(row), note=note))
    return Cell(figures=tuple(figures))


def _sanity(rows: Sequence[Row]) -> list[Table]:
    """Gradients that vanished, and what restarts brought."""
    body = [
        (Cell(DEFENSES[row["defense"]]), Cell("clean images"), Cell(what), *_share(row))
        for metric, what in _GRADIENTS.items()
        for row in rows
        if row["metric"] == metric
    ]
    for row in restart_rows(rows):
        where = f"{attack_title(row['attack'])}, {budget_title(row)}"
        head = Cell(DEFENSES[row["defense"]], (row["threat_model"],))
        body.append((head, Cell(where), Cell("restarts’ share of its successes"), *_share(row)))
    if not body:
        return []
    text = (
        "A gradient of exactly 0 stops every attack that follows it. Pixels where it is faint "
        "(below 1e-4 of the image’s largest) stay where they are under steps along it, in L2; "
        "steps along its signs, in L∞, move them too. Restarts of an attack that bring much say "
        "that still more of them would bring more."
    )
    columns = [*map(Cell, ("Defence", "Where", "What", "Share", "n"))]
    return [Table("robustness-sanity", "Gradients and restarts.", text, columns, body, kind="grid")]


def _share(row: Row) -> tuple[Cell, Cell]:
    return Cell(figures=(Figure.of(row),)), Cell.of(row["n"])
