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

from madvae_tf.utils.images import NUM_CLASSES

LATENTS, POINTS, SPRITE = "latents.tsv", "points.tsv", "sprite.png"
_CODE = "latent codes"


def confusion_matrix(predicted: np.ndarray, label: np.ndarray) -> np.ndarray:
    """int64 (10, 10) counts, [predicted, true], as the paper's tables have them.

    Args:
        predicted, label: integers (n,) in [0, 10).
    """
    flat = np.bincount(
        np.asarray(predicted) * NUM_CLASSES + np.asarray(label), minlength=NUM_CLASSES**2
    )
    return flat.reshape(NUM_CLASSES, NUM_CLASSES)


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


def write_confusions(folder: Path, matrices: Mapping[str, np.ndarray]) -> None:
    """An image "confusion/<attack>" for each matrix, in an event file in `folder`.

    Args:
        folder: made if absent.
        matrices: name of the attack -> counts (10, 10), [predicted, true].
    """
    with _events(folder):
        for name, counts in matrices.items():
            tf.summary.image(f"confusion/{name}", _drawn(name, counts)[None], step=0)


def _drawn(name: str, counts: np.ndarray) -> np.ndarray:
    """uint8 (height, width, 3): a cell's shade is its share of the column."""
    shares = counts / np.maximum(counts.sum(axis=0, keepdims=True), 1)
    figure = Figure(figsize=(5, 5), dpi=100, layout="constrained")
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
    axes.set_xticks(range(NUM_CLASSES))
    axes.set_yticks(range(NUM_CLASSES))
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
