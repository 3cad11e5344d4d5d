"""Table 3: FGSM from substitute models (Table 7), under three protocols called "black-box"."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from madvae_tf.report import summary
from madvae_tf.report.grids import BOTH, Sample, cell, key, sample_of
from madvae_tf.report.names import (
    ATTACKS,
    BLACK_BOX_TABLES,
    DEFENSES,
    SUBSTITUTES,
    Row,
    attack_title,
    split_parameters,
)
from madvae_tf.report.parts import Part, paragraph
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Cell, Figure, Table

PROTOCOLS = {
    "table3a": (
        "Protocol (a), that of the released code: each of the models A to E is attacked and is"
        " itself the classifier behind the purifier, which was trained against another classifier;"
        " no image is carried over."
    ),
    "table3b": (
        "Protocol (b), transfer: the attacker trains the substitute on the training images, attacks"
        " it, and carries the images over to the classifier that the purifiers were trained for."
    ),
    "table3c": (
        "Protocol (c), extraction: the attacker trains the substitute on the labels that the target"
        " gives to queries, attacks it, and carries the images over."
    ),
}


@dataclass
class Line:
    """One substitute under one attack setting: rows by defence, attacked and clean."""

    substitute: str
    attack: str
    parameters: dict[str, Any]
    threat_model: str
    attacked: dict[str, list[Row]] = field(default_factory=dict)
    clean: dict[str, list[Row]] = field(default_factory=dict)


def section(rows: Sequence[Row]) -> list[Part | Table]:
    """The tables of the protocols that were measured; nothing without any."""
    tables: list[Table] = []
    for name in BLACK_BOX_TABLES:
        found = mean_rows([row for row in rows if row["table"] == name])
        tables += [*_protocol(name, found), *_substitutes(name, found)]
    if not tables:
        return []
    used = {row["parameters"].get("substitute") for row in rows if row["table"] in BLACK_BOX_TABLES}
    note = (
        "FGSM from substitute models of the paper’s Table 7: "
        f"{', '.join(name for name in SUBSTITUTES if name in used)}. The paper calls its Table 3 "
        "black-box, but its released code follows protocol (a), so the paper’s figures stand "
        "there only."
    )
    return [paragraph(note), *tables]


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """The lines of one protocol, substitutes in order.

    A row of attack "none" goes to the lines of its own parameters where there are such, else to all
    lines of its substitute.
    """
    lines: dict[str, Line] = {}
    kept_rows = [row for row in rows if row["metric"] in ("accuracy", "agreement")]
    for row in kept_rows:
        if row["attack"] != "none":
            line = lines.setdefault(_identity(row), _line(row))
            line.attacked.setdefault(row["defense"], []).append(row)
    for row in kept_rows:
        if row["attack"] == "none":
            same = [
                line
                for line in lines.values()
                if line.substitute == row["parameters"]["substitute"]
            ]
            own = [line for line in same if line.parameters == _setting(row)] or same
            for line in own or [lines.setdefault(_identity(row), _line(row))]:
                line.clean.setdefault(row["defense"], []).append(row)
    attacks = list(ATTACKS)
    return sorted(
        lines.values(),
        key=lambda line: (SUBSTITUTES.index(line.substitute), attacks.index(line.attack)),
    )


def _line(row: Row) -> Line:
    return Line(row["parameters"]["substitute"], row["attack"], _setting(row), row["threat_model"])


def _identity(row: Row) -> str:
    return key(
        [
            row["dataset"],
            row["attack"],
            row["parameters"]["substitute"],
            row["threat_model"],
            _setting(row),
        ]
    )


def _setting(row: Row) -> dict[str, Any]:
    """The parameters of a line, but for its substitute and the queries, which may differ."""
    return {
        name: value
        for name, value in row["parameters"].items()
        if name not in ("substitute", "queries")
    }


def _protocol(name: str, rows: list[Row]) -> list[Table]:
    lines = lines_of(rows)
    if not lines:
        return []
    defenses = [
        name for name in DEFENSES if any(name in {*line.attacked, *line.clean} for line in lines)
    ]
    unattacked = any("none" in line.clean for line in lines)
    body = []
    for line in lines:
        own = [
            row
            for group in (line.attacked, line.clean)
            for found in group.values()
            for row in found
        ]
        sample = sample_of(own)
        budget, rest = split_parameters(line.parameters)
        under = ", ".join((attack_title(line.attack), *budget))
        cells = [cell(line.clean.get("none", []), sample)] if unattacked else []
        cells += [_defended(line, defense, sample) for defense in defenses]
        body.append((Cell(line.substitute, (under, sample.text, line.threat_model), rest), *cells))
    shown = [row for row in rows if row["metric"] in BOTH]
    paper = " and the paper’s figure" if any(row["paper"] is not None for row in shown) else ""
    clean = any(row["attack"] == "none" and row["defense"] != "none" for row in shown)
    text = (
        f"{PROTOCOLS[name]} In each cell the accuracy against the label with its 95% Wilson"
        " interval, then the agreement with the evaluated classifier’s own prediction on the clean"
        f" image{paper}{'; “clean”: the accuracy on images without an attack' if clean else ''}.{summary.several_seeds(shown)}"  # noqa: E501
        f" {summary.evidence(shown)}."
    )
    heads = [
        "Substitute",
        *(["No attack"] if unattacked else []),
        *map(DEFENSES.__getitem__, defenses),
    ]
    title = f"Table {name.removeprefix('table')}."
    return [Table(name, title, text, [*map(Cell, heads)], body, kind="grid")]


def _defended(line: Line, defense: str, sample: Sample) -> Cell:
    attacked = cell(line.attacked.get(defense, []), sample, BOTH)
    # The undefended model's clean figure is the column "No attack".
    clean = [
        row
        for row in line.clean.get(defense, [])
        if row["metric"] == "accuracy" and defense != "none"
    ]
    return replace(
        attacked, figures=(*attacked.figures, *(Figure.of(row, label="clean") for row in clean))
    )


def _substitutes(name: str, rows: list[Row]) -> list[Table]:
    """The attacker's substitutes: queries, agreement with the target, success on themselves."""
    columns = {
        "substitute_agreement": "Agreement with the target",
        "success_rate": "Success on the substitute",
    }
    measured = [row for row in rows if row["metric"] in columns]
    body = []
    for substitute in SUBSTITUTES:
        for defense, title in DEFENSES.items():
            place = (substitute, defense)
            target = [
                row for row in rows if (row["parameters"]["substitute"], row["defense"]) == place
            ]
            found = [row for row in target if row["metric"] in columns]
            if not found:
                continue
            asked = sorted(
                {row["parameters"]["queries"] for row in target if "queries" in row["parameters"]}
            )
            sample = sample_of(found)
            cells = [
                cell([row for row in found if row["metric"] == metric], sample, {metric: ""})
                for metric in columns
            ]
            queries = Cell(", ".join(map(str, asked)), order=asked[0] if asked else None)
            behind = "The classifier alone" if defense == "none" else f"Behind {title}"
            body.append((Cell(substitute, (sample.text,)), Cell(behind), queries, *cells))
    if not body:
        return []
    text = (
        "Queries: images that the target labelled for the attacker. Agreement: the share of test "
        "images on which the substitute predicts what the target predicts. Success: the share on "
        "which the attack fools the substitute that it was made on; 95% Wilson "
        f"intervals.{summary.several_seeds(measured)} {summary.evidence(measured)}."
    )
    heads = [*map(Cell, ("Substitute", "Target", "Queries", *columns.values()))]
    return [
        Table(f"{name}-substitutes", "The attacker’s substitutes.", text, heads, body, kind="grid")
    ]
