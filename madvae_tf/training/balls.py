"""Where the attack of a training step may go: the points of [0, 1] within a distance of each image, and how to climb there."""

import abc
from collections.abc import Callable

import tensorflow as tf

from madvae_tf.attacks.geometry import flat
from madvae_tf.attacks.knapsack import Knapsack, scaled

NORMS = ("linf", "l2", "both")


class Ball(abc.ABC):
    """The points of [0, 1] around a batch of images, float32 (batch, height, width, channels)."""

    @abc.abstractmethod
    def start(self, noise: tf.Tensor) -> tf.Tensor:
        """A point of it, from noise uniform in [-1, 1] of the images' shape."""

    def remember(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """What to climb along, of what the step before climbed along (0 in the first) and the gradient now; by default the gradient."""
        del past
        return gradient

    @abc.abstractmethod
    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        """The point of it that steepest ascent reaches from `x_adv` with a step of `length`, in the units of the radius."""


class LinfBall(Ball):
    """At most `radius` away in every pixel; steps go along the gradient's sign."""

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float):
        self.images, self.radius = images, radius
        self.lowest, self.highest = tf.maximum(images - radius, 0.0), tf.minimum(images + radius, 1.0)

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(self.images + self.radius * noise, self.lowest, self.highest)

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        return tf.clip_by_value(x_adv + length * tf.sign(gradient), self.lowest, self.highest)


class L2Ball(Ball):
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


class CrossingBall(L2Ball):
    """An L2 ball in front of a pointwise squash: a step goes to where `Knapsack` spends the radius, whatever its length and start.

    It goes by the gradient with respect to the squashed image, summed over the steps.
    """

    def __init__(
        self, images: tf.Tensor, radius: tf.Tensor | float, squash: Callable[[tf.Tensor], tf.Tensor]
    ):
        super().__init__(images, radius)
        self.knapsack = Knapsack(images, squash, radius)

    def remember(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        return past + tf.reshape(scaled(flat(gradient)), tf.shape(gradient))

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        del x_adv, length
        return self.knapsack.choose(flat(gradient))


class BothBalls(Ball):
    """Every other image of the batch in its L-infinity ball, the rest in their L2 balls.

    Args:
        images: the batch.
        radius: of the L-infinity balls; lengths are in its units.
        l2_per_linf: the L2 radius, as a multiple of `radius`.
        l2_ball: `L2Ball`, or another of its kind: images and radius -> the ball.
    """

    def __init__(
        self,
        images: tf.Tensor,
        radius: tf.Tensor | float,
        l2_per_linf: float,
        l2_ball: Callable[[tf.Tensor, tf.Tensor | float], Ball] = L2Ball,
    ):
        self.linf, self.l2 = LinfBall(images[::2], radius), l2_ball(images[1::2], radius * l2_per_linf)
        self.l2_per_linf, self.shape = l2_per_linf, images.shape
        # Where the images are, once those of L-infinity stand first.
        indices = tf.range(tf.shape(images)[0])
        self.places = tf.argsort(tf.concat([indices[::2], indices[1::2]], axis=0))

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        return self._in_turn(self.linf.start(noise[::2]), self.l2.start(noise[1::2]))

    def remember(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        parts = (
            ball.remember(past[first::2], gradient[first::2])
            for first, ball in enumerate((self.linf, self.l2))
        )
        return self._in_turn(*parts)

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        return self._in_turn(
            self.linf.climb(x_adv[::2], gradient[::2], length),
            self.l2.climb(x_adv[1::2], gradient[1::2], length * self.l2_per_linf),
        )

    def _in_turn(self, in_linf: tf.Tensor, in_l2: tf.Tensor) -> tf.Tensor:
        return tf.ensure_shape(tf.gather(tf.concat([in_linf, in_l2], axis=0), self.places), self.shape)


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis=(1, 2, 3), keepdims=True))


def _direction(x: tf.Tensor) -> tf.Tensor:
    """x / |x|; 0 for 0."""
    return tf.math.divide_no_nan(x, _norm(x))
