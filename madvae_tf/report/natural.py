"""What happens to images without an attacker: rotations and translations, and common corruptions, a line a defence."""

from collections.abc import Sequence

from madvae_tf.report import summary
from madvae_tf.report.grids import GRID, cell, draw_accuracy, head_of
from madvae_tf.report.markup import table, text
from madvae_tf.report.names import DEFENSES, Row
from madvae_tf.report.seeds import mean_rows


def section(rows: Sequence[Row]) -> str:
    """The table of the worst rotation and translation and of every corruption; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "natural"])
    if not found:
        return ""
    places = list(dict.fromkeys(_place(row) for row in found))
    body = []
    for defense in (name for name in DEFENSES if any(row["defense"] == name for row in found)):
        mine = [row for row in found if row["defense"] == defense]
        first = head_of(mine)
        cells = [
            cell([row for row in mine if _place(row) == place], draw_accuracy, first) for place in places
        ]
        body.append([f'{DEFENSES[defense]}<span class="detail">{first.text}</span>', *cells])
    caption = (
        "<b>Without an attacker’s noise.</b> Accuracy against the label with its 95% Wilson interval. Rotation and translation: an image "
        "counts as right only if it is right at every place of a grid (Engstrom et al. 2019). Corruptions: the numbers behind a "
        f"severity are this project’s. None of these is part of a worst case above.{summary.several_seeds(found)} {summary.evidence(found)}."
    )
    return table("natural", caption, ["Defence", *places], body, attributes=GRID)


def _place(row: Row) -> str:
    parameters = row["parameters"]
    if row["attack"] == "corruption":
        kind = text(parameters["kind"].replace("_", " "))
        return f'{kind}<span class="detail">severity {parameters["severity"]}</span>'
    if row["attack"] == "none":
        return "No corruption"
    detail = "".join(
        f" ±{text(parameters[name])}{unit}"
        for name, unit in (("max_angle", "°"), ("max_shift", " px"))
        if name in parameters
    )
    return f'Rotation and translation<span class="detail">worst of a grid{detail}</span>'
