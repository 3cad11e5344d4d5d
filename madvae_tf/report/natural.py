"""Images without an attacker: rotations and translations, and common corruptions."""

from collections.abc import Sequence

from madvae_tf.report import summary
from madvae_tf.report.grids import by_defense, grid
from madvae_tf.report.names import Row
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Cell, Table


def section(rows: Sequence[Row]) -> list[Table]:
    """The table of the worst rotation and translation and of each corruption, if there are rows."""
    found = mean_rows([row for row in rows if row["table"] == "natural"])
    if not found:
        return []
    text = (
        "Accuracy against the label with its 95% Wilson interval. Rotation and translation: an "
        "image counts as right only if it is right at every place of a grid (Engstrom et al. "
        "2019). Corruptions: the numbers behind a severity are this project’s. None of these is "
        f"part of a worst case above.{summary.several_seeds(found)} {summary.evidence(found)}."
    )
    columns = {_place(row): _place(row) for row in found}
    return [
        grid("natural", "Without an attacker’s noise.", text, columns, by_defense(found), _place)
    ]


def _place(row: Row) -> Cell:
    given = row["parameters"]
    if row["attack"] == "corruption":
        return Cell(given["kind"].replace("_", " "), (f"severity {given['severity']}",))
    if row["attack"] == "none":
        return Cell("No corruption")
    units = {"max_angle": "°", "max_shift": " px"}
    reach = "".join(f" ±{given[name]}{unit}" for name, unit in units.items() if name in given)
    return Cell("Rotation and translation", (f"worst of a grid{reach}",))
