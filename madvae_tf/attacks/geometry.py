"""Balls, boxes and hyperplanes, exactly, for the L-infinity and the L2 norm; all is per image.

All projections here have one core. With amounts a_i, limits b_i and a level t, the sum over i of
min(t a_i, b_i) rises with t and is linear between the b_i / a_i; sorting these finds the level at
which it reaches a given amount.
"""

import functools
import math
from typing import Any

import tensorflow as tf

from madvae_tf.utils.errors import lookup

NORMS = {"linf": "L-infinity", "l2": "L2"}
_FAR = 1e30
_TINY = 1e-12


def check_norm(norm: str) -> None:
    """Raises `UserError` for a norm that is not in `NORMS`."""
    lookup(NORMS, norm, "norm")


def values_of(images: tf.Tensor) -> int:
    """How many numbers an image of the batch is: 784 of 28 x 28 grey ones."""
    return math.prod(size for size in images.shape[1:] if size is not None)


def flat(images: tf.Tensor) -> tf.Tensor:
    """(batch, height, width, channels) -> (batch, height * width * channels)."""
    return tf.reshape(images, (-1, values_of(images)))


def spread(values: tf.Tensor) -> tf.Tensor:
    """One number per image, (batch,) -> (batch, 1, 1, 1)."""
    return values[:, None, None, None]


def distance(difference: tf.Tensor, norm: str) -> tf.Tensor:
    """The norm of each image of a difference, float32 (batch,)."""
    pixels = flat(difference)
    if norm == "linf":
        return tf.reduce_max(tf.abs(pixels), axis=1)
    return tf.sqrt(tf.reduce_sum(tf.square(pixels), axis=1))


def l2_norm(images: tf.Tensor) -> tf.Tensor:
    """The L2 norm of each image, float32 (batch, 1, 1, 1)."""
    return tf.sqrt(tf.reduce_sum(tf.square(images), axis=[1, 2, 3], keepdims=True))


def direction(gradient: tf.Tensor, norm: str) -> tf.Tensor:
    """The steepest ascent of norm 1: the gradient's sign, or it over its L2 norm; 0 stays 0."""
    if norm == "linf":
        return tf.sign(gradient)
    # Scaled first: the square of a small gradient would vanish.
    gradient = gradient / spread(tf.maximum(tf.reduce_max(tf.abs(flat(gradient)), axis=1), 1e-37))
    return gradient / spread(tf.maximum(distance(gradient, norm), _TINY))


def level(amounts: tf.Tensor, limits: tf.Tensor, total: tf.Tensor) -> tf.Tensor:
    """The t >= 0 with sum_i min(t a_i, b_i) = total, (batch, 1); huge where the sum stays below.

    Args:
        amounts, limits: a and b, float32 (batch, n), not negative.
        total: float32 (batch,), not negative.
    """
    breaks = tf.where(amounts > 0, tf.minimum(limits / tf.maximum(amounts, 1e-37), _FAR), _FAR)
    order = tf.argsort(breaks, axis=1)
    amounts, limits, breaks = (
        tf.gather(part, order, batch_dims=1) for part in (amounts, limits, breaks)
    )
    full = tf.cumsum(limits, axis=1, exclusive=True)
    rising = tf.cumsum(amounts, axis=1, reverse=True)
    # Up to the k-th break the first k are full and the others rise.
    reached = full + breaks * rising
    index = tf.reduce_sum(tf.cast(reached < total[:, None], tf.int32), axis=1)
    inside = index < tf.shape(amounts)[1]
    index = tf.minimum(index, tf.shape(amounts)[1] - 1)[:, None]
    filled, slope = (tf.gather(part, index, batch_dims=1)[:, 0] for part in (full, rising))
    exact = tf.maximum(total - filled, 0.0) / tf.maximum(slope, 1e-37)
    return tf.where(inside, exact, _FAR)[:, None]


def project_l2(images: tf.Tensor, center: tf.Tensor, epsilon: tf.Tensor | float) -> tf.Tensor:
    """The nearest point of the L2 ball of radius epsilon around `center` and the box [0, 1].

    It is clip(center + s (image - center)) with the largest s <= 1 that keeps the distance.

    Args:
        images: float32 (batch, height, width, channels), anywhere.
        center: the same shape, in [0, 1].
        epsilon: float32 ().
    """
    step, origin = flat(images - center), flat(center)
    room = tf.where(step > 0, 1.0 - origin, origin)
    square = level(
        tf.square(step), tf.square(room), tf.fill([tf.shape(step)[0]], epsilon * epsilon)
    )
    moved = tf.sign(step) * tf.minimum(tf.sqrt(tf.minimum(square, 1.0)) * tf.abs(step), room)
    # Rounding may leave it a hair outside.
    shrink = tf.minimum(1.0, epsilon / tf.maximum(distance(moved, "l2"), _TINY))
    return tf.clip_by_value(
        tf.reshape(origin + shrink[:, None] * moved, tf.shape(images)), 0.0, 1.0
    )


def step_to_plane(x: tf.Tensor, normal: tf.Tensor, offset: tf.Tensor, norm: str) -> tf.Tensor:
    """The shortest step d with <normal, d> + offset = 0 and x + d in [0, 1] (FAB, eq. 4).

    Where the plane misses the box, the step to the box's corner that is nearest to the plane.

    Args:
        x, normal: float32 (batch, height, width, channels).
        offset: float32 (batch,), the value at x of the linear function that the plane is the zero
            of.
    """
    scale = tf.maximum(tf.reduce_max(tf.abs(flat(normal)), axis=1), 1e-37)
    weights, wanted = flat(normal) / scale[:, None], offset / scale
    way = -tf.sign(wanted)[:, None] * tf.sign(weights)
    room = tf.where(way > 0, 1.0 - flat(x), flat(x))
    size = tf.abs(weights)
    if norm == "linf":
        moved = tf.minimum(level(size, size * room, tf.abs(wanted)), room)
    else:
        moved = tf.minimum(level(tf.square(size), size * room, tf.abs(wanted)) * size, room)
    return tf.reshape(way * moved, tf.shape(x))


def random_start(x: tf.Tensor, epsilon: Any, norm: str, seeds: tf.Tensor) -> tf.Tensor:
    """A random image of the ball and the box.

    It is uniform in the L-infinity ball, or on the sphere of the L2 ball, then clipped.

    Args:
        epsilon: float32 () or, a radius for each image, (batch,).
        seeds: of `image_seeds`.
    """
    radius = tf.reshape(epsilon, (-1, 1))
    noise = draws(seeds, [values_of(x)], normal=norm == "l2")
    noise = noise / (distance(noise, "l2")[:, None] if norm == "l2" else 1.0)
    return tf.clip_by_value(x + tf.reshape(radius * noise, tf.shape(x)), 0.0, 1.0)


# Powers of two primitive roots: two polynomial hashes.
_PRIME = 2**31 - 1


@functools.cache
def _multipliers(count: int) -> list[list[int]]:
    return [[pow(root, index + 1, _PRIME) for index in range(count)] for root in (48271, 69621)]


def image_seeds(x: tf.Tensor, seed: Any) -> tf.Tensor:
    """Seeds, int32 (batch, 2), from each image's own pixels and `seed`, whatever its batch.

    Args:
        x: float32 (batch, height, width, channels).
        seed: two ints below 2**31, or a tensor of them.
    """
    bits = tf.cast(tf.bitcast(flat(x), tf.int32), tf.int64)[:, None]
    # Each product is reduced before the sum, which so stays below 2**63.
    mixed = tf.math.floormod(bits * tf.constant(_multipliers(values_of(x)), tf.int64), _PRIME)
    return tf.cast(
        tf.math.floormod(tf.reduce_sum(mixed, axis=2) + tf.cast(seed, tf.int64), _PRIME), tf.int32
    )


def draws(seeds: tf.Tensor, shape: list[int], normal: bool = False) -> tf.Tensor:
    """Of each image's seed: uniform in [-1, 1), or standard normal; float32 (batch, *shape)."""

    def one(seed: tf.Tensor) -> tf.Tensor:
        if normal:
            return tf.random.stateless_normal(shape, seed, alg="philox")
        return tf.random.stateless_uniform(shape, seed, -1.0, 1.0, alg="philox")

    return tf.map_fn(one, seeds, fn_output_signature=tf.TensorSpec(shape, tf.float32))
