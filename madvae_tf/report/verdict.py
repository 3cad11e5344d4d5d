"""Each defence's verdict in a line: clean, oblivious, transfer and end-to-end attackers."""

from collections.abc import Sequence
from dataclasses import dataclass

from madvae_tf.report import summary
from madvae_tf.report.grids import cell, sample_of
from madvae_tf.report.names import (
    DEFENSES,
    NORMS,
    THREAT_MODELS,
    Budget,
    Row,
    attack_title,
    budget_of,
    budget_title,
)
from madvae_tf.report.table import Cell, Table


@dataclass(frozen=True)
class Column:
    """A column: rows of one attack under one threat model, or under the first that has any."""

    title: str
    attack: str
    threat_model: str = ""


COLUMNS = (
    Column("No attack (clean)", "none"),
    Column("PGD, oblivious", "pgd_restarts", "oblivious"),
    # Of all attacks under it: which one carries over best differs from defence to defence.
    Column("Worst case, transfer", "worst_case", "transfer"),
    Column("PGD, end to end", "pgd_restarts", "end_to_end"),
    Column("AutoAttack standard, end to end", "autoattack_standard", "end_to_end"),
    Column("Overpowered, end to end", "overpowered", "end_to_end"),
    Column("Crossing, end to end", "crossing", "end_to_end"),
    Column("Worst case", "worst_case", "end_to_end"),
)


def verdicts(rows: Sequence[Row]) -> dict[Budget, dict[str, dict[Column, Row]]]:
    """Budget -> defence -> column -> row, of table "robustness"; L-infinity budgets, then L2's.

    The overpowered attack has budgets in L2 only: beside an L-infinity budget its column holds the
    largest, which each row names. The worst case is that over all threat models, where it was
    taken.
    """
    accuracy = [row for row in rows if (row["table"], row["metric"]) == ("robustness", "accuracy")]
    found: dict[Budget, dict[str, dict[Column, Row]]] = {}
    budgets = {budget_of(row) for row in accuracy if budget_of(row)[0] in ("linf", "l2")}
    for budget in sorted(budgets, key=lambda budget: (budget[0] == "l2", budget)):
        for defense in DEFENSES:
            own = [row for row in accuracy if row["defense"] == defense]
            line = {
                column: row for column in COLUMNS if (row := _pick(own, column, budget)) is not None
            }
            # A clean figure and nothing else is no verdict.
            if any(
                column.attack != "none" and budget_of(row) == budget for column, row in line.items()
            ):
                found.setdefault(budget, {})[defense] = line
    return found


def section(rows: Sequence[Row]) -> list[Table]:
    """The verdicts as tables, one for each budget."""
    return [_table(budget, lines) for budget, lines in verdicts(rows).items()]


def _partial(rows: Sequence[Row]) -> str:
    """A sentence on images that count as right under attacks that they did not meet."""
    found = sorted({row["parameters"]["partial"] for row in rows if "partial" in row["parameters"]})
    titled = {
        f"{attack_title(title)} {n}"
        for each in found
        for title, _, n in (part.rpartition(" ") for part in each.split(", "))
    }
    if not titled:
        return ""
    return (
        " An upper bound where attacks met some images only, and the others count as right under "
        f"them: {', '.join(sorted(titled))}."
    )


def _pick(rows: Sequence[Row], column: Column, budget: Budget) -> Row | None:
    own = [
        row
        for row in rows
        if row["attack"] == column.attack and column.threat_model in ("", row["threat_model"])
    ]
    if column.attack == "overpowered" and budget[0] == "linf":
        return max(own, key=budget_of, default=None)
    own = [row for row in own if budget_of(row) == budget]
    order = list(THREAT_MODELS)
    return min(
        own,
        key=lambda row: (
            "met" in row["parameters"],
            "over" not in row["parameters"],
            order.index(row["threat_model"]),
        ),
        default=None,
    )


def _table(budget: Budget, lines: dict[str, dict[Column, Row]]) -> Table:
    used = [column for column in COLUMNS if any(column in line for line in lines.values())]
    norm, epsilon = budget
    body = []
    for defense, line in lines.items():
        sample = sample_of(list(line.values()))
        cells = []
        for column in used:
            row = line.get(column)
            # A budget in another norm than the table's is noted.
            other = {"note": budget_title(row)} if row and budget_of(row)[0] == "l2" != norm else {}
            cells.append(cell([row] if row else [], sample, change=lambda row, other=other: other))
        body.append((Cell(DEFENSES[defense], (sample.text,)), *cells))
    every = [row for line in lines.values() for row in line.values()]
    text = (
        "Accuracy against the label with its 95% Wilson interval. Worst case: an image counts as "
        "right only if no attack of any threat model that was run fooled it (beside transfer: of "
        f"that one).{_partial(every)}{summary.several_seeds(every)} {summary.evidence(every)}."
    )
    name = f"verdict-{norm}-{epsilon:g}".replace(".", "-")
    heads = [Cell("Defence"), *(Cell(column.title) for column in used)]
    return Table(name, f"The verdict, {NORMS[norm]} {epsilon:g}.", text, heads, body, kind="grid")
