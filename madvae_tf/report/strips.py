"""Figures 7 to 11: strips of images with the predicted labels, for each attack."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from madvae_tf.report import drawing
from madvae_tf.report.drawing import FRAME, WIDTH, settings
from madvae_tf.report.names import ATTACKS, DEFENSES, class_names
from madvae_tf.report.parts import Part, gallery

# The paper's figures; a variant of this project's own has no number.
IMAGE_FIGURES = {"none": 7, "vanilla": 8, "cls": 9, "pd": 10, "combined": 11, "robust": None}
_WRONG = "#c2290a"
# Letters in the corner of a tile.
_FITS = 9


def section(images: Mapping[str, np.ndarray], run: Mapping[str, Any]) -> list[Part]:
    """The pictures; nothing without clean images. See `write_report` for `images`."""
    if "clean" not in images:
        return []
    label = images.get("label")
    columns = len(images["clean"])
    predicted = [values for key, values in images.items() if key.startswith("prediction/")]
    names = class_names(run, 1 + max((int(np.max(values)) for values in predicted), default=0))
    pictures = []
    for defense, figure_number in IMAGE_FIGURES.items():
        rows = []
        for attack, attack_name in ATTACKS.items():
            stem = "adversarial" if defense == "none" else f"purified/{defense}"
            shown = images.get(f"{stem}/{attack}")
            if shown is None and defense == "none" and attack == "none":
                shown = images["clean"]
            if shown is not None:
                rows.append((attack_name, shown, images.get(f"prediction/{defense}/{attack}")))
        if not rows:
            continue
        if defense == "none":
            what = "Adversarial examples: what each attack makes of the same clean images"
            who = "the classifier alone predicts"
        else:
            what = f"Output of the purifier {DEFENSES[defense]} for the images of Figure 7"
            who = "the classifier predicts for the purified image"
        title = "Beside the paper’s figures" if figure_number is None else f"Figure {figure_number}"
        text = (
            f"{what}. A strip is an attack, a column is a test image; in the corner what {who}, a "
            f"red frame where that is wrong. n = {columns} images, seed {run.get('seed', '–')}, "
            "threat model: oblivious."
        )
        alt = f"{title}: {columns} images in each of {len(rows)} strips: " + ", ".join(
            f"{name}{_wrong(label, predictions)}" for name, _, predictions in rows
        )
        stem = "strips" if figure_number is None else f"figure{figure_number:02d}"
        name = f"{stem}_{'adversarial' if defense == 'none' else defense}"
        pictures.append(
            drawing.picture(name, image_grid(rows, label, columns, names), alt, f"{title}.", text)
        )
    return gallery(pictures)


def _wrong(label: np.ndarray | None, predictions: np.ndarray | None) -> str:
    if label is None or predictions is None:
        return ""
    return f" ({int(np.sum(np.asarray(predictions) != np.asarray(label)))} wrong)"


def image_grid(
    strips: Sequence[tuple[str, np.ndarray, np.ndarray | None]],
    label: np.ndarray | None,
    columns: int,
    names: Sequence[str],
) -> Figure:
    """Strips of images with their titles; the predicted label in each corner, wrong ones framed.

    Args:
        strips: (title, images (k, height, width, channels) in [0, 1], predicted labels (k,) or
            None).
        label: (k,) true labels; without them no tile is marked.
        columns: tiles in a strip (k).
        names: of the classes.
    """
    title, gap = 0.24, 0.035
    tile = (WIDTH - gap * (columns + 1)) / columns
    # A tile is as wide as the page leaves room for, and has the proportions of an image.
    rows, across = next((images.shape[1:3] for _, images, _ in strips), (1, 1))
    tall = tile * rows / across
    height = len(strips) * (title + tall + gap)
    with settings():
        figure = Figure(figsize=(WIDTH, height))
        # One axes in inches for all tiles: an axes for each would take twenty times as long.
        axes = figure.add_axes((0, 0, 1, 1))
        axes.axis("off")
        for index, (name, images, predictions) in enumerate(strips):
            top = height - index * (title + tall + gap)
            axes.text(gap, top - title * 0.72, name, fontsize=9.5, va="baseline", weight="bold")
            for column in range(min(columns, len(images))):
                wrong = (
                    predictions is not None
                    and label is not None
                    and int(predictions[column]) != int(label[column])
                )
                prediction = None
                if predictions is not None:
                    prediction = _short(names[int(predictions[column])])
                corner = (gap + column * (tile + gap), top - title - tall)
                _tile(axes, images[column], corner, (tile, tall), prediction, wrong)
        axes.set(xlim=(0, WIDTH), ylim=(0, height))
        return figure


def _short(name: str) -> str:
    """What fits into a tile's corner."""
    return name if len(name) <= _FITS else f"{name[: _FITS - 1]}…"


def _tile(
    axes: Any,
    image: np.ndarray,
    corner: tuple[float, float],
    size: tuple[float, float],
    prediction: str | None,
    wrong: bool,
) -> None:
    shown = image[..., 0] if image.shape[-1] == 1 else image
    (left, bottom), (width, height) = corner, size
    extent = (left, left + width, bottom, bottom + height)
    axes.imshow(
        shown, cmap="gray", vmin=0, vmax=1, interpolation="none", extent=extent, aspect="auto"
    )
    frame = (
        {"edgecolor": _WRONG, "linewidth": 2.2} if wrong else {"edgecolor": FRAME, "linewidth": 0.6}
    )
    axes.add_patch(Rectangle(corner, width, height, fill=False, zorder=3, **frame))
    if prediction is not None:
        axes.text(
            left + 0.96 * width,
            bottom + 0.05 * height,
            prediction,
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
