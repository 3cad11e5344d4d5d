"""Batches for training, exact from any step, and batches in order for validation."""

import functools
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf

from madvae_tf.data.prepare import Split
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import Shape, as_float, shape_of

_IMAGE_FIELDS = ("x_adv", "x")


class Rows(Protocol):
    """What batches are drawn from: `PairedSets`, `CleanImages`."""

    fields: tuple[str, ...]

    @property
    def image_shape(self) -> Shape:
        """(height, width, channels) of the images."""
        ...

    def __len__(self) -> int: ...

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """The values of `fields` at `rows`: images float32 (b, height, width, channels) in [0, 1],
        labels int64 (b,).
        """
        ...


class CleanImages:
    """Images of a split and their labels; `rows` int64 picks some of them."""

    fields: tuple[str, ...] = ("x", "label")

    def __init__(self, split: Split, rows: np.ndarray | None = None):
        self._split = split
        self._rows = np.arange(len(split)) if rows is None else rows
        self.image_shape = shape_of(split.images)

    def __len__(self) -> int:
        return len(self._rows)

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """x float32 (b, height, width, channels) in [0, 1] and label int64 (b,)."""
        picked = self._rows[rows]
        return as_float(self._split.images[picked]), self._split.labels[picked]


class IdentityPairs(CleanImages):
    """Clean images as pairs of themselves: what a purifier that never sees an attack learns from."""  # noqa: E501

    fields: tuple[str, ...] = ("x_adv", "x", "label")

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """x_adv and x, the same float32 (b, height, width, channels) in [0, 1], and label int64
        (b,).
        """
        images, label = super().batch(rows)
        return images, images, label


def evenly_spaced(available: int, wanted: int) -> np.ndarray:
    """`wanted` of the rows 0..available-1, evenly spaced, int64; all of them for 0, and where there
    are no more.

    MNIST's test set is in the order of its writers, and its first half is the easier one: its first
    rows would not do.
    """
    if wanted == 0 or wanted >= available:
        return np.arange(available)
    return np.linspace(0, available - 1, wanted).round().astype(np.int64)


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order of an epoch: a permutation of 0..n-1, int64 (n,), that depends on (seed, epoch)
    alone.
    """
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch))))
    return generator.permutation(n)


def training_dataset(
    source: Rows, batch_size: int, seed: int, start_step: int, total_steps: int
) -> tf.data.Dataset:
    """The batches of training steps start_step..total_steps-1: those of an unbroken run, wherever
    one starts.

    An epoch is floor(len(source) / batch_size) steps in the order of `epoch_order`; the rest is
    dropped.

    Returns:
        dicts of `source.fields`: images float32 (batch_size, 28, 28, 1) in [0, 1], "label" int64
            (batch_size,).

    Raises:
        UserError: fewer rows than one batch.
    """
    steps_per_epoch = len(source) // batch_size
    if steps_per_epoch < 1:
        raise UserError(
            f"Invalid batch_size: received {batch_size}, expected 1 to {len(source)}, the number of"
            " training pairs."
        )
    order = functools.lru_cache(maxsize=1)(lambda epoch: epoch_order(len(source), seed, epoch))

    def batch(step: np.int64) -> tuple[np.ndarray, ...]:
        epoch, place = divmod(int(step), steps_per_epoch)
        return source.batch(order(epoch)[place * batch_size : (place + 1) * batch_size])

    steps = tf.data.Dataset.range(start_step, total_steps)
    return mapped(steps, batch, source.fields, batch_size, source.image_shape)


def in_order(source: Rows, batch_size: int) -> tf.data.Dataset:
    """All rows of `source` once, in order; the last batch may be smaller."""

    def batch(start: np.int64) -> tuple[np.ndarray, ...]:
        return source.batch(np.arange(start, min(start + batch_size, len(source))))

    starts = tf.data.Dataset.range(0, len(source), batch_size)
    return mapped(starts, batch, source.fields, None, source.image_shape)


def mapped(
    steps: tf.data.Dataset,
    batch: Callable[[np.int64], tuple[np.ndarray, ...]],
    fields: Sequence[str],
    rows: int | None,
    shape: Shape,
) -> tf.data.Dataset:
    """`batch` over `steps`, in order and read ahead; `rows` is the static batch size, where there
    is one, `shape` an image's.
    """
    dtypes = [tf.float32 if field in _IMAGE_FIELDS else tf.int64 for field in fields]

    def load(step: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.numpy_function(batch, [step], dtypes)
        for field, value in zip(fields, values, strict=True):
            value.set_shape((rows, *shape) if field in _IMAGE_FIELDS else (rows,))
        return dict(zip(fields, values, strict=True))

    return steps.map(load, num_parallel_calls=1, deterministic=True).prefetch(2)
