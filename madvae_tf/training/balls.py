"""Where the attack of a training step may go: the points of [0, 1] within a distance of each image, and how to climb there."""

from typing import Protocol

import tensorflow as tf

NORMS = ("linf", "l2", "both")


class Ball(Protocol):
    """The points of [0, 1] around a batch of images, float32 (batch, height, width, channels)."""

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        """A point of it, from noise uniform in [-1, 1] of the images' shape."""
        ...

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        """The point of it that steepest ascent reaches from `x_adv` with a step of `length`, in the units of the radius."""
        ...


class LinfBall:
    """At most `radius` away in every pixel; steps go along the gradient's sign."""

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float):
        self.images, self.radius = images, radius
        self.lowest, self.highest = tf.maximum(images - radius, 0.0), tf.minimum(images + radius, 1.0)

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(self.images + self.radius * noise, self.lowest, self.highest)

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        return tf.clip_by_value(x_adv + length * tf.sign(gradient), self.lowest, self.highest)


class L2Ball:
    """At most `radius` away in Euclidean distance over all pixels; steps go along the gradient, which is scaled to length 1."""

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float):
        self.images, self.radius = images, radius

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        """On the sphere: nearly all of a ball in so many dimensions is there."""
        return self._within(self.radius * _direction(noise))

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        return self._within(x_adv + length * _direction(gradient) - self.images)

    def _within(self, difference: tf.Tensor) -> tf.Tensor:
        """Onto the ball, then onto [0, 1], which is nearer to the images still."""
        factor = tf.minimum(1.0, tf.math.divide_no_nan(self.radius, _norm(difference)))
        # divide_no_nan has 0 for a difference of 0, which stays 0.
        return tf.clip_by_value(self.images + factor * difference, 0.0, 1.0)


class BothBalls:
    """Every other image of the batch in its L-infinity ball, the rest in their L2 balls.

    Args:
        images: the batch.
        radius: of the L-infinity balls; lengths are in its units.
        l2_per_linf: the L2 radius, as a multiple of `radius`.
    """

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float, l2_per_linf: float):
        self.linf, self.l2 = LinfBall(images, radius), L2Ball(images, radius * l2_per_linf)
        self.l2_per_linf = l2_per_linf
        self.in_l2 = tf.reshape(tf.range(tf.shape(images)[0]) % 2 == 1, (-1, 1, 1, 1))

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        return tf.where(self.in_l2, self.l2.start(noise), self.linf.start(noise))

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        far = self.l2.climb(x_adv, gradient, length * self.l2_per_linf)
        return tf.where(self.in_l2, far, self.linf.climb(x_adv, gradient, length))


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis=(1, 2, 3), keepdims=True))


def _direction(x: tf.Tensor) -> tf.Tensor:
    """x / |x|; 0 for 0."""
    return tf.math.divide_no_nan(x, _norm(x))
