"""The charts, as matplotlib figures: Table 1, detectors' ROC, embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import matplotlib.ticker
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from madvae_tf.report.drawing import FRAME, RULE, STYLES, WIDTH, settings
from madvae_tf.report.names import ATTACKS, DEFENSES, Row
from madvae_tf.utils.confusions import WHOLE

# An attack, and defence -> metric -> row.
Measured = tuple[str, Mapping[str, Mapping[str, Row]]]


def table1_chart(lines: Sequence[Measured]) -> Figure:
    """Accuracy with its 95% interval, an attack a row: on [0, 1], and the purifiers close up."""
    with settings():
        figure = Figure(figsize=(WIDTH, 1.35 + 0.66 * len(lines)), layout="constrained")
        whole, close = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1, 1.7)})
        names = [name for name in DEFENSES if any(name in cells for _, cells in lines)]
        purifiers = [name for name in names if name != "none"] or names
        for name in names:
            _accuracies(whole, lines, name, names)
        for name in purifiers:
            _accuracies(close, lines, name, purifiers)
        close.set_xlim(*_close_up(lines, purifiers))
        whole.set_xlim(-0.06, 1.06)
        whole.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        close.xaxis.set_major_locator(
            matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10], prune="lower")
        )
        titles = [
            ATTACKS[attack].replace(" (clean)", "\n(clean)").replace(" Pixel", "\nPixel")
            for attack, _ in lines
        ]
        whole.set_yticks(range(len(lines)), titles)
        whole.set_ylim(len(lines) - 0.5, -0.5)
        whole.set_title("full scale", fontsize=10)
        close.set_title("purifiers, close up", fontsize=10)
        figure.supxlabel("accuracy against the label", fontsize=10)
        for axes in (whole, close):
            axes.grid(axis="x", color=RULE, linewidth=0.7)
            axes.set_axisbelow(True)
            for edge in range(1, len(lines)):
                axes.axhline(edge - 0.5, color=RULE, linewidth=0.7)
            axes.tick_params(left=False)
        handles, labels = whole.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=10
        )
        return figure


def _accuracies(axes: Any, lines: Sequence[Measured], name: str, group: Sequence[str]) -> None:
    color, _, marker = STYLES[name]
    offset = (group.index(name) - (len(group) - 1) / 2) * 0.72 / max(len(group), 2)
    measured = [
        (index, cells[name]["accuracy"])
        for index, (_, cells) in enumerate(lines)
        if "accuracy" in cells.get(name, {})
    ]
    values = [row["value"] for _, row in measured]
    error = [
        [
            0.0 if row["ci_low"] is None else max(0.0, row["value"] - row["ci_low"])
            for _, row in measured
        ],
        [
            0.0 if row["ci_high"] is None else max(0.0, row["ci_high"] - row["value"])
            for _, row in measured
        ],
    ]
    heights = [index + offset for index, _ in measured]
    axes.errorbar(
        values,
        heights,
        xerr=error,
        fmt=marker,
        color=color,
        markersize=5,
        elinewidth=1.5,
        label=DEFENSES[name],
    )


def _close_up(lines: Sequence[Measured], names: Sequence[str]) -> tuple[float, float]:
    found = [cells.get(name, {}).get("accuracy") for _, cells in lines for name in names]
    ends = [row["value" if row["ci_low"] is None else "ci_low"] for row in found if row is not None]
    low = min(ends, default=0.0)
    margin = max(0.002, 0.05 * (1 - low))
    return max(-0.02, low - margin), 1 + margin


def roc_curves(panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> Figure:
    """A panel a detector, a line an attack, through the measured points, (0, 0) and (1, 1).

    Args:
        panels: detector -> attack's label -> (share of clean images flagged, share of attacked
            images flagged).
    """
    titles = {"l1": "L1 error", "l2": "L2 error", "latent": "latent distance"}
    with settings(size=9):
        figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
        every = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (name, lines) in zip(every, panels.items(), strict=True):
            for index, (label, points) in enumerate(lines.items()):
                x, y = zip((0, 0), *sorted(points), (1, 1), strict=True)
                dashes, color = ("-", "--", ":", "-.")[index % 4], f"C{index % 10}"
                axes.plot(x, y, dashes, color=color, linewidth=1.2, label=label)
            axes.plot((0, 1), (0, 1), color=FRAME, linewidth=0.7)
            axes.set_title(titles[name], fontsize=9.5)
            axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        handles, labels = every[0].get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8
        )
        figure.supxlabel("share of clean images flagged", fontsize=9)
        figure.supylabel("share of attacked images flagged", fontsize=9)
        return figure


def accuracy_curves(
    lines: Mapping[tuple[str, str], Sequence[Row]], xs: Mapping[float, float], axis: str
) -> Figure:
    """Accuracy along an axis, a line a defence and its 95% intervals as a band.

    Args:
        lines: (defence, threat model) -> rows, whose parameters["at"] is the place on the axis.
        xs: place -> x.
        axis: what the axis shows.
    """
    with settings():
        figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for (defense, model), rows in lines.items():
            color, _, marker = STYLES[defense]
            x = [xs[row["parameters"]["at"]] for row in rows]
            label = f"{DEFENSES[defense]}, {model.replace('_', ' ')}"
            axes.plot(x, [row["value"] for row in rows], color=color, marker=marker, label=label)
            low, high = (
                [row["value" if row[end] is None else end] for row in rows]
                for end in ("ci_low", "ci_high")
            )
            axes.fill_between(x, low, high, color=color, alpha=0.16, linewidth=0)
        axes.set_xticks(list(xs.values()), [f"{place:g}" for place in xs])
        axes.set(ylim=(-0.02, 1.02), xlabel=axis, ylabel="accuracy against the label")
        axes.grid(axis="y", color=RULE, linewidth=0.7)
        figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
        return figure


# Ten colours chosen to stay apart for the colour-blind too (Petroff 2021, "Accessible color
# sequences").
CLASS_COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)


def class_colors(classes: int) -> list[str]:
    """A colour for each class: of more than ten, from one end of a colour map to the other."""
    if classes <= len(CLASS_COLORS):
        return list(CLASS_COLORS[:classes])
    places = matplotlib.colormaps["turbo"](np.linspace(0.02, 0.98, classes))
    return [to_hex(place) for place in places]


def scatter_panels(
    points: np.ndarray,
    label: np.ndarray,
    predicted: np.ndarray | None,
    names: Sequence[str] = tuple("0123456789"),
) -> Figure:
    """Two scatter plots of the same points side by side, or one without predicted labels.

    Args:
        points: (n, 2); their units mean nothing, so the axes have no ticks.
        label, predicted: (n,) class numbers.
        names: of the classes; up to twenty are named below the panels.
    """
    of_class = class_colors(len(names))
    panels = [("true label", label)] + (
        [] if predicted is None else [("predicted label", predicted)]
    )
    # About 1,000 points are readable at this size, and fewer may be larger.
    size = float(np.clip(8000 / max(len(points), 1), 1.0, 16))
    with settings(size=9.5):
        figure = Figure(figsize=(WIDTH, 2.95), layout="constrained")
        # A panel alone is as large as one of two, and in the middle.
        places = (
            figure.subplots(1, 2)
            if len(panels) == 2
            else figure.subplots(1, 3, width_ratios=(1, 2, 1))[1:2]
        )
        for axes in figure.axes:
            axes.set_visible(any(axes is place for place in places))
        for axes, (title, labels) in zip(places, panels, strict=True):
            # One call for all classes, in the order of the points: class by class the last would
            # hide the others.
            # As pixels, since a thousand marks would make the page slow.
            colors = np.array(of_class)[labels]
            axes.scatter(
                points[:, 0],
                points[:, 1],
                s=size,
                c=colors,
                alpha=0.85,
                linewidths=0,
                rasterized=True,
            )
            axes.set(xticks=[], yticks=[])
            axes.spines[["top", "right"]].set_visible(True)
            axes.spines[:].set_color(FRAME)
            axes.set_title(title, fontsize=10)
        if len(names) > WHOLE:
            return figure
        handles: list[Any] = [
            Line2D([], [], linestyle="", marker="o", markersize=6, color=color, label=name)
            for name, color in zip(names, of_class, strict=True)
        ]
        short = max(map(len, names)) <= 2
        columns = len(CLASS_COLORS) if short else 4
        place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
        figure.legend(handles=handles, fontsize=9.5, handletextpad=0, columnspacing=0.7, **place)
        return figure
