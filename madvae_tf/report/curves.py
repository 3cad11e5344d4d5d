"""Accuracy along an axis (budget, steps): a drawing with a line a defence, and a table.

Drawn for 480 x 300 units and scaled; colours, dashes and markers are the page's, so that it follows
light and dark. The folder `figures` has it as SVG and PDF.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report import charts, drawing, summary
from madvae_tf.report.grids import by_defense, grid
from madvae_tf.report.names import DEFENSES, NORMS, Row
from madvae_tf.report.parts import Part
from madvae_tf.report.table import Table, number

# The attack of the rows that are on curves.
CURVE = "pgd_curve"
_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 44
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "12 4")


def section(rows: Sequence[Row]) -> list[Part | Table]:
    """PGD by budget and by steps, for each norm: the drawing and the table."""
    return [part for (norm, axis), own in by_axis(rows).items() for part in _curve(own, norm, axis)]


def by_axis(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """(norm, "epsilon" or "steps") -> the rows of that curve, in the order of `NORMS`."""
    found: dict[tuple[str, str], list[Row]] = {
        (norm, axis): [] for norm in NORMS for axis in ("epsilon", "steps")
    }
    for row in rows:
        if row["attack"] == CURVE:
            found[row["parameters"]["norm"], row["parameters"]["curve"]].append(row)
    return {key: own for key, own in found.items() if own}


def _curve(own: Sequence[Row], norm: str, axis: str) -> list[Part | Table]:
    by_budget = axis == "epsilon"
    places = sorted({row["parameters"]["at"] for row in own})
    title = (
        f"budget ({NORMS[norm]})"
        if by_budget
        else f"steps at {NORMS[norm]} {own[0]['parameters']['epsilon']:g}"
    )
    grey = (
        f", and at {places[-1]:g}, where any image can be made grey, to chance" if by_budget else ""
    )
    name = axis if norm == "linf" else f"{axis}-{norm}"
    table = grid(
        f"robustness-by-{name}",
        f"Accuracy under PGD by {title}.",
        f"It must fall from left to right{grey}. {summary.evidence(own)}.",
        {place: f"{'ε' if by_budget else 'steps'} = {place:g}" for place in places},
        by_defense(own),
        lambda row: row["parameters"]["at"],
    )
    drawn = curve(
        f"curve-by-{name}",
        own,
        f"budget ε ({NORMS[norm]})" if by_budget else "steps",
        f"Curve of the accuracy under PGD by {title}.",
        f"Bands: 95% Wilson intervals. {summary.evidence(own)}.",
    )
    return [drawn, table]


def curve(name: str, rows: Sequence[Row], axis: str, title: str, text: str) -> Part:
    """The drawing.

    Args:
        name: its identifier.
        rows: of one curve: parameters["at"] is the place, value and interval lie in [0, 1].
        axis: what the axis shows.
        title, text: the caption.
    """
    series: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(
        rows, key=lambda row: (list(DEFENSES).index(row["defense"]), row["parameters"]["at"])
    ):
        series.setdefault((row["defense"], row["threat_model"]), []).append(row)
    xs = _positions(sorted({row["parameters"]["at"] for row in rows}))
    values = {
        "name": name,
        "axis": axis,
        "title": title,
        "text": text,
        "width": _WIDTH,
        "height": _HEIGHT,
        "right": _WIDTH - _RIGHT,
        "middle": (_LEFT + _WIDTH - _RIGHT) / 2,
        "rules": [(f"{step / 5:.1f}", _y(step / 5)) for step in range(6)],
        "ticks": [(f"{place:g}", x) for place, x in xs.items()],
        "series": [
            _line(own, xs, axis, _DASHES[index % len(_DASHES)])
            for index, own in enumerate(series.values())
        ],
    }
    return Part("curve", values, drawing.files(name, charts.accuracy_curves(series, xs, axis)))


def _positions(places: Sequence[float]) -> Mapping[float, float]:
    """Place on the axis -> x: by value, or by rank where values lie far apart (1, 5, ..., 100)."""
    low, high = places[0], places[-1]
    width = _WIDTH - _LEFT - _RIGHT
    gaps = [b - a for a, b in zip(places, places[1:], strict=False)]
    ranked = bool(gaps) and max(gaps) > 4 * min(gaps)
    return {
        place: (
            _LEFT
            + width
            * (
                0.5
                if low == high
                else rank / (len(places) - 1)
                if ranked
                else (place - low) / (high - low)
            )
        )
        for rank, place in enumerate(places)
    }


def _y(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)


def _line(rows: Sequence[Row], xs: Mapping[float, float], axis: str, dashes: str) -> dict[str, Any]:
    """What the template draws of one defence: the path, its band, each point with its label."""
    places = [(xs[row["parameters"]["at"]], row) for row in rows]
    known = [(x, row) for x, row in places if row["ci_low"] is not None]
    around = [f"{x:.1f},{_y(row['ci_high']):.1f}" for x, row in known]
    around += [f"{x:.1f},{_y(row['ci_low']):.1f}" for x, row in reversed(known)]
    first = rows[0]
    return {
        "defense": first["defense"],
        "title": f"{DEFENSES[first['defense']]}, {first['threat_model']}",
        "dashes": dashes,
        "path": " ".join(f"{x:.1f},{_y(row['value']):.1f}" for x, row in places),
        "band": " ".join(around) if len(known) > 1 else "",
        "points": [(x, _y(row["value"]), _label(row, axis)) for x, row in places],
    }


def _label(row: Row, axis: str) -> str:
    value, low, high = (number(row[name], row["n"]) for name in ("value", "ci_low", "ci_high"))
    between = "" if row["ci_low"] is None else f", 95% interval {low} to {high}"
    place = f"{axis} {row['parameters']['at']:g}"
    return (
        f"{DEFENSES[row['defense']]}, {row['threat_model']}, {place}: accuracy {value}{between}, n"
        f" = {row['n']}"
    )
