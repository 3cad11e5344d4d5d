"""Detection: how well scores of a purifier tell attacked images from clean ones; AUC and ROC."""

from collections.abc import Sequence
from typing import Any

from madvae_tf.report import charts, drawing, summary
from madvae_tf.report.names import DEFENSES, DETECTORS, Row, attack_title
from madvae_tf.report.parts import Part
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import DASH, Cell, Figure, Table

# The share of clean images that may be flagged, where one figure stands for the curve.
QUOTED = 0.05


def section(rows: Sequence[Row]) -> list[Part | Table]:
    """The table and, for each defence, a picture of ROC curves; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "detection"])
    if not found:
        return []
    names = [
        name for name in DETECTORS if any(row["parameters"]["detector"] == name for row in found)
    ]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in sorted(found, key=lambda row: list(DEFENSES).index(row["defense"])):
        groups.setdefault((row["defense"], *_attack(row)), []).append(row)
    body = []
    for own in groups.values():
        first = own[0]
        weight = first["parameters"].get("weight")
        against = attack_title(first["attack"])
        against += "" if weight is None else f", weight {weight:g} of the distance"
        sizes = [row["n"] for row in own if row["parameters"]["among"] == "all"]
        sample = f"{first['threat_model']} · n = {summary.span(sizes) if sizes else DASH}"
        cells = [
            _cell([row for row in own if row["parameters"]["detector"] == name]) for name in names
        ]
        body.append((Cell(DEFENSES[first["defense"]], (against, sample)), *cells))
    text = (
        "In each cell the AUC, the chance that an attacked image scores higher than a clean one, "
        f"and the share of attacked images flagged where {QUOTED:.0%} of the clean ones are; "
        "below it the same of those alone that fooled what they were made on. An AUC near 0.5 "
        "detects nothing, one below it ranks attacked images as the cleaner ones. "
        f"{summary.evidence(found)}."
    )
    columns = [*map(Cell, ("Images", *(DETECTORS[name] for name in names)))]
    table = Table("detection", "Detection.", text, columns, body, kind="grid")
    drawn = [_picture(found, defense) for defense in dict.fromkeys(place[0] for place in groups)]
    return [table, *(picture for picture in drawn if picture is not None)]


def _attack(row: Row) -> tuple[Any, ...]:
    return row["attack"], row["threat_model"], row["parameters"].get("weight")


def _cell(rows: Sequence[Row]) -> Cell:
    figures: list[Figure] = []
    for among in ("all", "fooling"):
        own = [row for row in rows if row["parameters"]["among"] == among]
        area = next((row for row in own if row["metric"] == "auc"), None)
        flagged = [
            row for row in own if row["metric"] == "tpr" and row["parameters"]["fpr"] == QUOTED
        ]
        if area is not None:
            of = f"of {area['n']} that fool: " if among == "fooling" else ""
            figures.append(Figure.of(area, label=f"{of}AUC"))
            figures += [Figure.of(row, label=f"{of}flagged") for row in flagged[:1]]
    return Cell(figures=tuple(figures))


def _picture(rows: Sequence[Row], defense: str) -> Part | None:
    """A panel a detector, a line an attack."""
    own = [
        row
        for row in rows
        if row["defense"] == defense
        and row["metric"] == "tpr"
        and row["parameters"]["among"] == "all"
    ]
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name in DETECTORS:
        for row in (row for row in own if row["parameters"]["detector"] == name):
            attack, model, weight = _attack(row)
            label = f"{attack}{'' if weight is None else f' {weight:g}'}, {model}".replace("_", " ")
            place = (row["parameters"]["fpr"], row["value"])
            panels.setdefault(name, {}).setdefault(label, []).append(place)
    if not panels:
        return None
    return drawing.picture(
        f"detection-{defense}",
        charts.roc_curves(panels),
        f"ROC curves of the detectors before {DEFENSES[defense]}",
        f"{DEFENSES[defense]}: ROC of its detectors.",
        "Straight lines between the measured points, which are in results.json.",
    )
