"""Rotations and translations: the worst of a grid for each image (Engstrom et al. 2019).

Theirs for MNIST: 31 angles within 30 degrees, times 5 shifts each way within 3 pixels. A rotation
is about the image's middle, pixels are interpolated linearly, and what comes in from outside is 0.
"""

import dataclasses
import itertools
import math
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.base import Attack, Seed, predict
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import spread
from madvae_tf.attacks.objectives import misclassified
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.images import shape_of


def placed(images: tf.Tensor, matrix: Any, shift: Any) -> tf.Tensor:
    """The images moved: pixel p is the original's at middle + matrix (p - middle - shift).

    Args:
        images: float32 (batch, height, width, channels).
        matrix: float32 (2, 2), or one for each image, (batch, 2, 2); it acts on (row, column).
        shift: float32 (2,) or (batch, 2), down and to the right.
    """
    matrix, shift = (tf.cast(part, tf.float32) for part in (matrix, shift))
    height, width, _ = shape_of(images)
    middle = tf.broadcast_to(tf.constant([(height - 1) / 2, (width - 1) / 2]), tf.shape(shift))
    offset = middle - tf.linalg.matvec(matrix, middle + shift)
    zeros = tf.zeros_like(shift)
    # The kernel's order is column before row: (x, y) of the original from those of the result.
    rows = [
        *(matrix[..., 1, 1], matrix[..., 1, 0], offset[..., 1]),
        *(matrix[..., 0, 1], matrix[..., 0, 0], offset[..., 0]),
        *(zeros[..., 0], zeros[..., 0]),
    ]
    transforms = tf.reshape(tf.stack(rows, axis=-1), (-1, 8))
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="CONSTANT",
    )


def turn(degrees: Any) -> tf.Tensor:
    """The matrix for `placed` that turns counter-clockwise, float32 (..., 2, 2)."""
    angle = tf.cast(degrees, tf.float32) * (math.pi / 180)
    sine, cosine = tf.sin(angle), tf.cos(angle)
    # Rows go down: as seen, this is counter-clockwise.
    return tf.stack([tf.stack([cosine, sine], -1), tf.stack([-sine, cosine], -1)], -2)


@per_target
def _first_misclassified(
    logits: Function, x: tf.Tensor, y: tf.Tensor, grid: tf.Tensor, done: tf.Tensor
) -> tf.Tensor:
    """The first place of the grid, float32 (count, 3), that is misclassified, or the image."""

    def step(
        index: tf.Tensor, best: tf.Tensor, done: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        place = grid[index]
        candidate = tf.clip_by_value(placed(x, turn(place[0]), place[1:]), 0.0, 1.0)
        wins = misclassified(logits(candidate), y) & tf.logical_not(done)
        return index + 1, tf.where(spread(wins), candidate, best), done | wins

    _, best, _ = tf.while_loop(
        lambda index, best, done: (index < tf.shape(grid)[0]) & tf.logical_not(tf.reduce_all(done)),
        step,
        (tf.constant(0), x, done),
    )
    return best


@dataclasses.dataclass(frozen=True)
class RotationTranslation(Attack):
    """Every rotation and translation of a grid; it needs labels only, and draws nothing.

    Attributes:
        max_angle: in degrees, either way.
        angles: how many, evenly spaced.
        max_shift: in pixels, each way.
        shifts: how many on each axis, evenly spaced.
    """

    name: ClassVar[str] = "rotation_translation"
    max_angle: float = parameter(30.0, maximum=180.0)
    angles: int = parameter(31, minimum=1)
    max_shift: float = parameter(3.0, maximum=27.0)
    shifts: int = parameter(5, minimum=1)

    @property
    def grid(self) -> np.ndarray:
        """Degrees, pixels down, pixels to the right, float32 (count, 3); the farthest first."""
        angles = (
            np.linspace(-self.max_angle, self.max_angle, self.angles) if self.angles > 1 else [0.0]
        )
        shifts = (
            np.linspace(-self.max_shift, self.max_shift, self.shifts) if self.shifts > 1 else [0.0]
        )
        every = np.array(list(itertools.product(angles, shifts, shifts)), np.float32)
        size = np.abs(
            every / np.maximum([self.max_angle, self.max_shift, self.max_shift], 1e-9)
        ).sum(1)
        return every[np.argsort(-size, kind="stable")]

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        """The first misclassified candidate, or the original; what is wrong as it is stays."""
        done = tf.not_equal(predict(target.logits, x), y)
        return _first_misclassified(target.logits, x, y, tf.constant(self.grid), done)
