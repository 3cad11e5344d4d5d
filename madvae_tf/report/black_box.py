"""Table 3: FGSM from substitute models (Table 7), under three protocols that all go by the name "black-box"."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from madvae_tf.report import summary
from madvae_tf.report.grids import GRID, Block, Head, cell, head_of, key
from madvae_tf.report.markup import DASH, attack_title, figure, kept, parameters, table, text
from madvae_tf.report.names import ATTACKS, BLACK_BOX_TABLES, DEFENSES, SUBSTITUTES, Row
from madvae_tf.report.seeds import mean_rows

PROTOCOLS = {
    "table3a": "Protocol (a), that of the released code: each of the models A to E is attacked and is itself the "
    "classifier behind the purifier, which was trained against another classifier; no image is carried over.",
    "table3b": "Protocol (b), transfer: the attacker trains the substitute on the training images, attacks it, and "
    "carries the images over to the classifier that the purifiers were trained for.",
    "table3c": "Protocol (c), extraction: the attacker trains the substitute on the labels that the target gives to "
    "queries, attacks it, and carries the images over.",
}


@dataclass
class Line:
    """One substitute under one attack setting: the rows by defence, and those of its clean images."""

    substitute: str
    attack: str
    parameters: dict[str, Any]
    threat_model: str
    attacked: dict[str, list[Row]] = field(default_factory=dict)
    clean: dict[str, list[Row]] = field(default_factory=dict)


def section(rows: Sequence[Row]) -> str:
    """The tables of the protocols that were measured; nothing without any."""
    parts, shown = [], [row for row in rows if row["table"] in BLACK_BOX_TABLES]
    for name in BLACK_BOX_TABLES:
        found = mean_rows([row for row in rows if row["table"] == name])
        if found:
            parts.append(_protocol(name, found) + _substitutes(name, found))
    if not parts:
        return ""
    letters = [
        name for name in SUBSTITUTES if any(row["parameters"].get("substitute") == name for row in shown)
    ]
    note = (
        f"<p>FGSM from substitute models of the paper’s Table 7: {', '.join(letters)}. The paper calls its Table 3 black-box, but its released code follows "
        "protocol (a), so the paper’s figures stand there only.</p>"
    )
    return note + "".join(parts)


def lines_of(rows: Sequence[Row]) -> list[Line]:
    """The lines of one protocol, substitutes in order; rows of attack "none" belong to their substitute's lines.

    A clean row goes to the lines of its own parameters where there are such, else to all of its substitute.
    """
    lines: dict[str, Line] = {}
    kept_rows = [row for row in rows if row["metric"] in ("accuracy", "agreement")]
    for row in kept_rows:
        if row["attack"] != "none":
            line = lines.setdefault(_identity(row), _line(row))
            line.attacked.setdefault(row["defense"], []).append(row)
    for row in kept_rows:
        if row["attack"] == "none":
            same = [line for line in lines.values() if line.substitute == row["parameters"]["substitute"]]
            own = [line for line in same if line.parameters == _setting(row)] or same
            for line in own or [lines.setdefault(_identity(row), _line(row))]:
                line.clean.setdefault(row["defense"], []).append(row)
    attacks = list(ATTACKS)
    return sorted(
        lines.values(), key=lambda line: (SUBSTITUTES.index(line.substitute), attacks.index(line.attack))
    )


def _line(row: Row) -> Line:
    return Line(row["parameters"]["substitute"], row["attack"], _setting(row), row["threat_model"])


def _identity(row: Row) -> str:
    return key(
        [row["dataset"], row["attack"], row["parameters"]["substitute"], row["threat_model"], _setting(row)]
    )


def _setting(row: Row) -> dict[str, Any]:
    """What a line is under: not its substitute, nor the queries, which may differ from target to target."""
    return {name: value for name, value in row["parameters"].items() if name not in ("substitute", "queries")}


def _protocol(name: str, rows: list[Row]) -> str:
    lines = lines_of(rows)
    if not lines:
        return ""
    defenses = [name for name in DEFENSES if any(name in {*line.attacked, *line.clean} for line in lines)]
    unattacked = any("none" in line.clean for line in lines)
    body = []
    for line in lines:
        own = [row for group in (line.attacked, line.clean) for found in group.values() for row in found]
        first = head_of(own)
        under = ", ".join(part for part in (attack_title(line.attack), parameters(line.parameters)) if part)
        body.append(
            [
                f'{line.substitute}<span class="detail">{under}</span><span class="detail">{first.text}</span>'
                f'<span class="detail">{line.threat_model}</span>',
                *([cell(line.clean.get("none", []), _accuracy, first)] if unattacked else []),
                *(_defended(line, defense, first) for defense in defenses),
            ]
        )
    shown = [row for row in rows if row["metric"] in ("accuracy", "agreement")]
    paper = " and the paper’s figure" if any(row["paper"] is not None for row in shown) else ""
    clean = any(row["attack"] == "none" and row["defense"] != "none" for row in shown)
    caption = (
        f"<b>Table {name.removeprefix('table')}.</b> {PROTOCOLS[name]} In each cell the accuracy against the label with its 95% "
        f"Wilson interval, then the agreement with the evaluated classifier’s own prediction on the clean image{paper}"
        f"{'; “clean”: the accuracy on images without an attack' if clean else ''}.{summary.several_seeds(shown)} "
        f"{summary.evidence(shown)}."
    )
    head = [
        "Substitute",
        *(["No attack"] if unattacked else []),
        *(DEFENSES[defense] for defense in defenses),
    ]
    return table(name, caption, head, body, attributes=GRID)


def _accuracy(block: Block) -> str:
    return kept(block.get("accuracy"), None)


def _defended(line: Line, defense: str, head: Head) -> str:
    def draw(block: Block) -> str:
        return kept(block.get("accuracy"), block.get("agreement"))

    attacked = cell(line.attacked.get(defense, []), draw, head)
    # The undefended model's clean figure is the column "No attack".
    clean = [row for row in line.clean.get(defense, []) if row["metric"] == "accuracy"]
    if defense == "none" or not clean:
        return attacked
    shown = "".join(f'<span class="agreement"><i>clean</i> {figure(row)}</span>' for row in clean)
    return attacked + shown


def _substitutes(name: str, rows: list[Row]) -> str:
    """What the attacker's substitutes are: queries, agreement with the target, success of the attack on themselves."""
    measured = [row for row in rows if row["metric"] in ("substitute_agreement", "success_rate")]
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in measured:
        groups.setdefault((row["parameters"]["substitute"], row["defense"]), []).append(row)
    body = []
    for substitute, defense in sorted(
        groups, key=lambda pair: (SUBSTITUTES.index(pair[0]), [*DEFENSES].index(pair[1]))
    ):
        found = groups[substitute, defense]
        target = [
            row for row in rows if (row["parameters"]["substitute"], row["defense"]) == (substitute, defense)
        ]
        asked = {text(row["parameters"]["queries"]) for row in target if "queries" in row["parameters"]}
        first = head_of(found)
        body.append(
            [
                f'{substitute}<span class="detail">{first.text}</span>',
                "The classifier alone" if defense == "none" else f"Behind {DEFENSES[defense]}",
                ", ".join(sorted(asked)) or DASH,
                *(
                    cell([row for row in found if row["metric"] == metric], _rate, first)
                    for metric in ("substitute_agreement", "success_rate")
                ),
            ]
        )
    if not body:
        return ""
    caption = (
        "<b>The attacker’s substitutes.</b> Queries: images that the target labelled for the attacker. Agreement: the share of "
        "test images on which the substitute predicts what the target predicts. Success: the share on which the attack fools "
        f"the substitute that it was made on; 95% Wilson intervals.{summary.several_seeds(measured)} {summary.evidence(measured)}."
    )
    head = ["Substitute", "Target", "Queries", "Agreement with the target", "Success on the substitute"]
    return table(f"{name}-substitutes", caption, head, body, attributes=GRID)


def _rate(block: Block) -> str:
    return "".join(f'<span class="accuracy">{figure(row)}</span>' for row in block.values())
