"""Images -> PNG bytes: strips of tiles with predicted labels, and single images."""

import io
from collections.abc import Sequence
from typing import Any

import matplotlib.image
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from madvae_tf.report.figures import METADATA, WIDTH, png, settings

_WRONG = "#c2290a"


def image_grid(
    strips: Sequence[tuple[str, np.ndarray, np.ndarray | None]], label: np.ndarray | None, columns: int
) -> bytes:
    """Strips of images, a title above each; the predicted label in each tile's corner, wrong ones framed.

    Args:
        strips: (title, images (k, height, width, channels) in [0, 1], predicted labels (k,) or None).
        label: (k,) true labels; without them no tile is marked.
        columns: tiles in a strip (k).
    """
    title, gap = 0.24, 0.035
    tile = (WIDTH - gap * (columns + 1)) / columns
    height = len(strips) * (title + tile + gap)
    with settings():
        figure = Figure(figsize=(WIDTH, height))
        # One axes in inches for all tiles: an axes for each would take twenty times as long.
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        for index, (name, images, predictions) in enumerate(strips):
            top = height - index * (title + tile + gap)
            axes.text(gap, top - title * 0.72, name, fontsize=9.5, va="baseline", weight="bold")
            for column in range(min(columns, len(images))):
                prediction = None if predictions is None else int(predictions[column])
                wrong = prediction is not None and label is not None and prediction != int(label[column])
                corner = (gap + column * (tile + gap), top - title - tile)
                _tile(axes, images[column], corner, tile, prediction, wrong)
        axes.set(xlim=(0, WIDTH), ylim=(0, height))
        return png(figure)


def _tile(
    axes: Any,
    image: np.ndarray,
    corner: tuple[float, float],
    size: float,
    prediction: int | None,
    wrong: bool,
) -> None:
    shown = image[..., 0] if image.shape[-1] == 1 else image
    left, bottom = corner
    extent = (left, left + size, bottom, bottom + size)
    axes.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", extent=extent, aspect="auto")
    frame = {"edgecolor": _WRONG, "linewidth": 2.2} if wrong else {"edgecolor": "#9aa5b0", "linewidth": 0.6}
    axes.add_patch(Rectangle(corner, size, size, fill=False, zorder=3, **frame))
    if prediction is not None:
        axes.text(
            left + 0.96 * size,
            bottom + 0.05 * size,
            str(prediction),
            ha="right",
            va="bottom",
            fontsize=8.5,
            weight="bold",
            color="white",
            bbox={
                "boxstyle": "square,pad=0.12",
                "facecolor": _WRONG if wrong else "#1f2933",
                "edgecolor": "none",
            },
            zorder=4,
        )


def tile_png(image: np.ndarray) -> bytes:
    """One image as a PNG of its own size in pixels."""
    buffer = io.BytesIO()
    shown = image[..., 0] if image.shape[-1] == 1 else image
    matplotlib.image.imsave(buffer, shown, cmap="gray", vmin=0, vmax=1, format="png", metadata=METADATA)
    return buffer.getvalue()
