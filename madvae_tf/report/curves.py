"""Accuracy along an axis (budget, steps) as inline SVG: a line a defence, its 95% interval as a band, every point with its values.

Drawn for 480 x 300 units and scaled; colours, dashes and markers are the page's, so that it follows light and dark.
"""

from collections.abc import Mapping, Sequence

from madvae_tf.report.figures import STYLES
from madvae_tf.report.markup import number, text
from madvae_tf.report.names import DEFENSES, NORMS, Row

# The attack of the rows that are on curves.
CURVE = "pgd_curve"
_WIDTH, _HEIGHT = 480, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 14, 12, 44
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "4 4", "12 4")


def by_axis(rows: Sequence[Row]) -> dict[tuple[str, str], list[Row]]:
    """(norm, "epsilon" or "steps") -> the rows of that curve, those that there are, in the order of `NORMS`."""
    found: dict[tuple[str, str], list[Row]] = {
        (norm, axis): [] for norm in NORMS for axis in ("epsilon", "steps")
    }
    for row in rows:
        if row["attack"] == CURVE:
            found[row["parameters"]["norm"], row["parameters"]["curve"]].append(row)
    return {key: own for key, own in found.items() if own}


def curve(name: str, rows: Sequence[Row], axis: str, caption: str) -> str:
    """The figure's HTML.

    Args:
        name: its identifier.
        rows: of one curve: parameters["at"] is the place, value and interval lie in [0, 1].
        axis: what the axis shows, as plain text.
        caption: HTML.
    """
    series: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: (list(DEFENSES).index(row["defense"]), row["parameters"]["at"])):
        series.setdefault((row["defense"], row["threat_model"]), []).append(row)
    places = sorted({row["parameters"]["at"] for row in rows})
    xs = _positions(places)
    lines = "".join(
        _line(own, xs, axis, _DASHES[index % len(_DASHES)]) for index, own in enumerate(series.values())
    )
    keys = "".join(
        f'<li><svg width="34" height="10" aria-hidden="true"><path d="M1 5H33" class="curve-line" style="{_style(defense)}" '
        f'stroke-dasharray="{_DASHES[index % len(_DASHES)]}"/></svg> {text(DEFENSES[defense])}, {text(model)}</li>'
        for index, (defense, model) in enumerate(series)
    )
    return (
        f'<figure class="curve" id="{name}"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="group" aria-label="Curve: accuracy '
        f'by {text(axis)}. The table below holds its values.">{_axes(places, xs, axis)}{lines}</svg>'
        f'<ul class="keys">{keys}</ul><output aria-live="polite">Point at a mark, or use the arrow keys, to read its value.'
        f"</output><figcaption>{caption}</figcaption></figure>"
    )


def _positions(places: Sequence[float]) -> Mapping[float, float]:
    """Place on the axis -> x: evenly by value, or by rank where values lie far apart (steps 1, 5, ..., 100)."""
    low, high = places[0], places[-1]
    width = _WIDTH - _LEFT - _RIGHT
    gaps = [b - a for a, b in zip(places, places[1:], strict=False)]
    ranked = bool(gaps) and max(gaps) > 4 * min(gaps)
    return {
        place: _LEFT
        + width
        * (0.5 if low == high else rank / (len(places) - 1) if ranked else (place - low) / (high - low))
        for rank, place in enumerate(places)
    }


def _y(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)


def _axes(places: Sequence[float], xs: Mapping[float, float], axis: str) -> str:
    parts = []
    for step in range(6):
        value = step / 5
        parts.append(
            f'<path d="M{_LEFT} {_y(value):.1f}H{_WIDTH - _RIGHT}" class="rule"/>'
            f'<text x="{_LEFT - 6}" y="{_y(value) + 4:.1f}" text-anchor="end">{value:.1f}</text>'
        )
    for place in places:
        parts.append(f'<text x="{xs[place]:.1f}" y="{_HEIGHT - 26}" text-anchor="middle">{place:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{text(axis)}</text>')
    return f'<g aria-hidden="true">{"".join(parts)}</g>'


def _line(rows: Sequence[Row], xs: Mapping[float, float], axis: str, dashes: str) -> str:
    defense = rows[0]["defense"]
    places = [(xs[row["parameters"]["at"]], row) for row in rows]
    path = " ".join(f"{x:.1f},{_y(row['value']):.1f}" for x, row in places)
    known = [(x, row) for x, row in places if row["ci_low"] is not None]
    around = [f"{x:.1f},{_y(row['ci_high']):.1f}" for x, row in known]
    around += [f"{x:.1f},{_y(row['ci_low']):.1f}" for x, row in reversed(known)]
    band = f'<polygon class="band" points="{" ".join(around)}"/>' if len(known) > 1 else ""
    points = "".join(_point(row, x, axis) for x, row in places)
    return (
        f'<g style="{_style(defense)}">{band}<polyline class="curve-line" points="{path}" stroke-dasharray="{dashes}"/>'
        f"{points}</g>"
    )


def _point(row: Row, x: float, axis: str) -> str:
    between = (
        "" if row["ci_low"] is None else f", 95% interval {number(row['ci_low'])} to {number(row['ci_high'])}"
    )
    said = text(
        f"{DEFENSES[row['defense']]}, {row['threat_model']}, {axis} {row['parameters']['at']:g}: accuracy "
        f"{number(row['value'])}{between}, n = {row['n']}"
    )
    y = _y(row["value"])
    # The large invisible disc is what a finger or a pointer finds.
    return (
        f'<g class="point" role="img" aria-label="{said}"><title>{said}</title><circle cx="{x:.1f}" cy="{y:.1f}" r="13" '
        f'class="target"/><circle cx="{x:.1f}" cy="{y:.1f}" r="4.5"/></g>'
    )


def _style(defense: str) -> str:
    # The two colours that dark pages would swallow are the page's own ink there.
    colour = "var(--ink)" if defense in ("none", "robust") else STYLES[defense][0]
    return f"--c:{colour}"
