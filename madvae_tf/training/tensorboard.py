"""What TensorBoard shows beside the training curves: confusion matrices, the latent codes with
their images, the search's trials.

`tensorboard --logdir runs/quick/tensorboard` shows each under the name of the stage that wrote it.
"""

import contextlib
import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import api as hparams

from madvae_tf.utils.confusions import MOST, WHOLE, most_confused
from madvae_tf.utils.labels import number_names

LATENTS, POINTS, SPRITE = "latents.tsv", "points.tsv", "sprite.png"
_CODE = "latent codes"


@contextlib.contextmanager
def _events(folder: Path) -> Iterator[None]:
    """Summaries go to the one event file of `folder`, whose name tells neither time nor machine:
    artifacts of one key have the same files.
    """
    writer = tf.summary.create_file_writer(str(folder))
    with writer.as_default():
        yield
    writer.close()
    (written,) = folder.glob("events.out.tfevents.*")
    written.rename(folder / "events.out.tfevents.0")


def write_confusions(
    folder: Path, matrices: Mapping[str, np.ndarray], names: Sequence[str] | None = None
) -> None:
    """An image "confusion/<attack>" for each matrix, in an event file in `folder`; of more than 20
    classes a table of the most frequent confusions instead.

    Args:
        folder: made if absent.
        matrices: name of the attack -> counts (classes, classes), [predicted, true].
        names: of the classes; None: their numbers.
    """
    with _events(folder):
        for name, counts in matrices.items():
            known = number_names(len(counts)) if names is None else names
            if len(counts) > WHOLE:
                tf.summary.text(f"confusion/{name}", _listed(counts, known), step=0)
            else:
                tf.summary.image(f"confusion/{name}", _drawn(name, counts, known)[None], step=0)


def _listed(counts: np.ndarray, names: Sequence[str]) -> str:
    """The most frequent confusions as a table in Markdown."""
    totals = counts.sum(axis=0)
    lines = [f"| true | predicted | images (the {MOST} most) | of |", "|---|---|---|---|"]
    lines += [
        f"| {names[true]} | {names[predicted]} | {count} | {totals[true]} |"
        for true, predicted, count in most_confused(counts)
    ]
    return "\n".join(lines)


def _drawn(name: str, counts: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """uint8 (height, width, 3): a cell's shade is its share of the column."""
    shares = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)
    side = max(5.0, len(counts) / 2)
    figure = Figure(figsize=(side, side), dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    # Errors are rare: the root shows them.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    for predicted, true in np.argwhere(counts):
        colour = "white" if shares[predicted, true] > 0.4 else "black"
        axes.text(
            true,
            predicted,
            str(counts[predicted, true]),
            ha="center",
            va="center",
            fontsize=8,
            color=colour,
        )
    axes.set(xlabel="true", ylabel="predicted", title=f"{name}, n = {int(counts.sum())}")
    # Long names would leave no room for the cells.
    short = [each if len(each) <= 12 else f"{each[:11]}…" for each in names]
    upright = max(map(len, short)) <= 2
    axes.set_xticks(range(len(names)), short, rotation=0 if upright else 90)
    axes.set_yticks(range(len(names)), short)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def write_projector(
    folder: Path, latents: np.ndarray, columns: Mapping[str, Any], images: np.ndarray
) -> None:
    """The embedding projector's files in `folder`: codes, what is known of each, and the images as
    a sprite.

    Args:
        folder: made if absent.
        latents: float32 (n, d).
        columns: name -> n values, at least two names: what the points can be coloured by.
        images: (n, height, width, 1) in [0, 1].
    """
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / LATENTS, latents, fmt="%.5g", delimiter="\t")
    buffer = io.StringIO()
    table = csv.writer(buffer, delimiter="\t", lineterminator="\n")
    table.writerow(columns)
    table.writerows(zip(*columns.values(), strict=True))
    (folder / POINTS).write_text(buffer.getvalue(), encoding="utf-8")
    _sprite(images).save(folder / SPRITE, "PNG", optimize=True)
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name = _CODE
    embedding.tensor_path, embedding.metadata_path = LATENTS, POINTS
    embedding.sprite.image_path = SPRITE
    embedding.sprite.single_image_dim.extend(images.shape[1:3][::-1])
    projector.visualize_embeddings(str(folder), config)


def _sprite(images: np.ndarray) -> Image.Image:
    """Tiles row by row in a square: the projector counts as many tiles across as down."""
    count, height, width, _ = images.shape
    side = math.ceil(math.sqrt(count))
    tiles = np.zeros((side * side, height, width), np.uint8)
    tiles[:count] = np.clip(np.round(images[..., 0] * 255), 0, 255)
    grid = tiles.reshape(side, side, height, width).swapaxes(1, 2)
    return Image.fromarray(grid.reshape(side * height, side * width))


def write_trials(folder: Path, trials: Sequence[Mapping[str, Any]], objective: str) -> None:
    """The hyper-parameters dashboard: each trial's weights and what it reached.

    Args:
        folder: made if absent; every trial has a folder "trial-NNN" in it.
        trials: {"weights": name -> number, "value": float or None, "status": str} each, at least
            one.
        objective: what the value is, in words.
    """
    metric = hparams.Metric("value", display_name=objective)
    names = [hparams.HParam(name) for name in trials[0]["weights"]]
    with _events(folder):
        hparams.hparams_config(hparams=names, metrics=[metric])
    for number, trial in enumerate(trials):
        name = f"trial-{number:03d}"
        with _events(folder / name):
            hparams.hparams(dict(trial["weights"]), trial_id=name)
            if trial["value"] is not None:
                tf.summary.scalar("value", trial["value"], step=0)
