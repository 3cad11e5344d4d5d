"""The size of a system's gradients, and their signs beside another way's: attacks that follow them
are worth as much as they are.
"""

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.objectives import ascent
from madvae_tf.evaluation.oblivious import batched

# Of an image's largest gradient.
FAINT = 1e-4


def gradients(
    target: DefendedModel, images: np.ndarray, labels: np.ndarray, batch_size: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """The cross-entropy's gradient at each clean image, both float64 (n,).

    Returns:
        its L2 norm, exactly 0 where it vanished; and the share of pixels at which it is faint,
        below 1e-4 of its largest: a step along it in L2 leaves these where they are, while a step
        along its signs moves them all.
    """
    size = np.abs(_climbed(target, images, labels, batch_size).astype(np.float64))
    return np.linalg.norm(size, axis=1), (size <= FAINT * size.max(axis=1, keepdims=True)).mean(
        axis=1
    )


def other_signs(
    target: DefendedModel,
    straight_through: DefendedModel,
    images: np.ndarray,
    labels: np.ndarray,
    batch_size: int = 100,
) -> np.ndarray:
    """The share of each clean image's pixels at which the gradients of two targets have another
    sign (0 is one), float64 (n,).

    A step in L-infinity follows signs alone: where none differs, an attack along one gradient is
    the attack along the other.
    """
    one, other = (
        np.sign(_climbed(each, images, labels, batch_size)) for each in (target, straight_through)
    )
    return (one != other).mean(axis=1)


def _climbed(
    target: DefendedModel, images: np.ndarray, labels: np.ndarray, batch_size: int
) -> np.ndarray:
    """The cross-entropy's gradient at each image, float32 (n, pixels)."""

    @tf.function
    def gradient(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return ascent(target.logits, "cross_entropy", x, y, y)[1]

    found = []
    labels = np.asarray(labels, np.int64)
    for start in range(0, len(images), batch_size):
        y = labels[start : start + batch_size]
        y = np.concatenate([y, np.repeat(y[:1], batch_size - len(y))])
        part = batched(
            lambda x, y=y: gradient(x, tf.constant(y)),
            images[start : start + batch_size],
            batch_size,
        )
        found.append(part.reshape(len(part), -1))
    return np.concatenate(found)
