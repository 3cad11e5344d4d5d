"""Do a purifier's doubts tell attacked images from clean ones? A table and the ROC of every detector, from rows of table "detection"."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from madvae_tf.report import figures, gallery, summary
from madvae_tf.report.grids import GRID
from madvae_tf.report.markup import DASH, attack_title, interval, number, table, text
from madvae_tf.report.names import DEFENSES, DETECTORS, Row
from madvae_tf.report.seeds import mean_rows

# The share of clean images that may be flagged, where one figure stands for the curve.
QUOTED = 0.05
_LINES = ("-", "--", ":", "-.")


def section(rows: Sequence[Row], files: dict[str, bytes]) -> str:
    """The table and, for each defence, a figure of ROC curves, which go to `files` too; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "detection"])
    if not found:
        return ""
    names = [name for name in DETECTORS if any(row["parameters"]["detector"] == name for row in found)]
    places = [
        (defense, *attack)
        for defense in DEFENSES
        for attack in dict.fromkeys(_attack(row) for row in found if row["defense"] == defense)
    ]
    body = []
    for place in places:
        own = [row for row in found if (row["defense"], *_attack(row)) == place]
        first = own[0]
        head = (
            f'{DEFENSES[place[0]]}<span class="detail">{attack_title(first["attack"])}{_weight(first)}</span>'
            f'<span class="detail">{text(first["threat_model"])} · n = {_size(own)}</span>'
        )
        body.append([head, *(_cell([r for r in own if r["parameters"]["detector"] == n]) for n in names)])
    caption = (
        "<b>Detection.</b> In each cell the AUC, the chance that an attacked image scores higher than a clean one, and the share of attacked "
        f"images flagged where {QUOTED:.0%} of the clean ones are; below it the same of those alone that fooled what they were made on. An AUC "
        f"near 0.5 detects nothing, one below it ranks attacked images as the cleaner ones. {summary.evidence(found)}."
    )
    grid = table(
        "detection", caption, ["Images", *(DETECTORS[name] for name in names)], body, attributes=GRID
    )
    return grid + "".join(_figure(found, defense, files) for defense in dict.fromkeys(p[0] for p in places))


def _attack(row: Row) -> tuple[Any, ...]:
    return row["attack"], row["threat_model"], row["parameters"].get("weight")


def _weight(row: Row) -> str:
    weight = row["parameters"].get("weight")
    return "" if weight is None else text(f", weight {weight:g} of the distance")


def _size(rows: Sequence[Row]) -> str:
    return summary.span(row["n"] for row in rows if row["parameters"]["among"] == "all") or DASH


def _cell(rows: Sequence[Row]) -> str:
    parts = []
    for among in ("all", "fooling"):
        own = [row for row in rows if row["parameters"]["among"] == among]
        area = next((row for row in own if row["metric"] == "auc"), None)
        share = next(
            (row for row in own if row["metric"] == "tpr" and row["parameters"]["fpr"] == QUOTED), None
        )
        if area is None:
            continue
        shown = f"AUC {number(area['value'])}"
        if share is not None:
            shown += f" · {number(share['value'])} {interval(share['ci_low'], share['ci_high'])}"
        if among == "fooling":
            shown = f"of {area['n']} that fool: {shown}"
        kind = "accuracy" if among == "all" else "detail"
        parts.append(f'<span class="{kind}">{shown}</span>')
    return "".join(parts) or DASH


def _figure(rows: Sequence[Row], defense: str, files: dict[str, bytes]) -> str:
    """A panel a detector, a line an attack, through the measured points, (0, 0) and (1, 1)."""
    own = [
        row
        for row in rows
        if row["defense"] == defense and row["metric"] == "tpr" and row["parameters"]["among"] == "all"
    ]
    names = [name for name in DETECTORS if any(row["parameters"]["detector"] == name for row in own)]
    if not names:
        return ""
    titles = {"l1": "L1 error", "l2": "L2 error", "latent": "latent distance"}
    with figures.settings(size=9):
        figure = Figure(figsize=(figures.WIDTH, 3.4), layout="constrained")
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            mine = [row for row in own if row["parameters"]["detector"] == name]
            for index, attack in enumerate(dict.fromkeys(map(_attack, mine))):
                points = sorted(
                    (row["parameters"]["fpr"], row["value"]) for row in mine if _attack(row) == attack
                )
                x, y = zip((0, 0), *points, (1, 1), strict=True)
                axes.plot(
                    x, y, _LINES[index % 4], color=f"C{index % 10}", linewidth=1.2, label=_label(attack)
                )
            axes.plot((0, 1), (0, 1), color="#9aa5b0", linewidth=0.7)
            axes.set_title(titles[name], fontsize=9.5)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8)
        figure.supxlabel("share of clean images flagged", fontsize=9)
        figure.supylabel("share of attacked images flagged", fontsize=9)
        picture = figures.png(figure)
    return gallery.captioned(
        files,
        f"detection-{defense}.png",
        picture,
        f"ROC curves of the detectors before {DEFENSES[defense]}",
        f"<b>{DEFENSES[defense]}: ROC of its detectors.</b> Straight lines between the measured points, which are in results.json.",
    )


def _label(attack: tuple[Any, ...]) -> str:
    weight = "" if attack[2] is None else f" {attack[2]:g}"
    return f"{attack[0].replace('_', ' ')}{weight}, {attack[1].replace('_', ' ')}"
