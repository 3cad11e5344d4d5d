"""Embeddings in the plane -> PNG bytes: one panel coloured by true label, one by predicted label."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from madvae_tf.report.figures import WIDTH, png, settings

# Ten colours chosen to stay apart for the colour-blind too (Petroff 2021, "Accessible color sequences").
COLORS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6"),
    *("#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd"),
)


def scatter_panels(points: np.ndarray, label: np.ndarray, predicted: np.ndarray | None) -> bytes:
    """Two scatter plots of the same points side by side, or one without predicted labels.

    Args:
        points: (n, 2); their units mean nothing, so the axes have no ticks.
        label, predicted: (n,) labels in 0..9.
    """
    panels = [("true label", label)] + ([] if predicted is None else [("predicted label", predicted)])
    # About 1,000 points are readable at this size, and fewer may be larger.
    size = float(np.clip(8000 / max(len(points), 1), 1.0, 16))
    with settings(size=9.5):
        figure = Figure(figsize=(WIDTH, 2.95), layout="constrained")
        # A panel alone is as large as one of two, and in the middle.
        places = (
            figure.subplots(1, 2) if len(panels) == 2 else figure.subplots(1, 3, width_ratios=(1, 2, 1))[1:2]
        )
        for axes in figure.axes:
            axes.set_visible(any(axes is place for place in places))
        for axes, (title, labels) in zip(places, panels, strict=True):
            _panel(axes, points, labels, size)
            axes.set_title(title, fontsize=10)
        handles: list[Any] = [
            Line2D([], [], linestyle="", marker="o", markersize=6, color=color, label=str(name))
            for name, color in enumerate(COLORS)
        ]
        figure.legend(
            handles=handles,
            loc="outside lower center",
            ncols=len(COLORS),
            frameon=False,
            fontsize=9.5,
            handletextpad=0,
            columnspacing=0.7,
        )
        return png(figure)


def _panel(axes: Any, points: np.ndarray, labels: np.ndarray, size: float) -> None:
    # One call for all classes, in the order of the points: class by class the last would hide the others.
    colors = np.array(COLORS)[labels]
    axes.scatter(points[:, 0], points[:, 1], s=size, c=colors, alpha=0.85, linewidths=0)
    axes.set(xticks=[], yticks=[])
    for side in ("top", "right"):
        axes.spines[side].set_visible(True)
    for spine in axes.spines.values():
        spine.set_color("#9aa5b0")
