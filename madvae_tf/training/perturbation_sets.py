"""Where the attack of a training step may go: the points of [0, 1] within a distance of each image, and how to climb there."""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from madvae_tf.attacks.budget_allocation import Knapsack, scaled
from madvae_tf.attacks.geometry import flat
from madvae_tf.training.replicas import first_row

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


class SlopedL2Ball(L2Ball):
    """An L2 ball in front of a pointwise squash whose slope the gradients leave out: it puts the slope back, so that steps are `L2Ball`'s."""

    def __init__(
        self, images: tf.Tensor, radius: tf.Tensor | float, squash: Callable[[tf.Tensor], tf.Tensor]
    ):
        super().__init__(images, radius)
        self.squash = squash

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x_adv)
            squashed = self.squash(x_adv)
        # Of a function of each pixel alone, the gradient of the sum is the slope, pixel by pixel.
        slope: Any = tape.gradient(squashed, x_adv)
        return super().climb(x_adv, slope * gradient, length)


class TurnsBall(Ball):
    """The images of the batch in balls of several kinds in turn: of n kinds, image i of the global batch in the ball of kind i mod n.

    Args:
        images: the batch.
        radius: of the balls; lengths are in its units.
        kinds: at least one; how a ball is made of images and radius, and the multiple of `radius` and of lengths that it has.
    """

    def __init__(
        self,
        images: tf.Tensor,
        radius: tf.Tensor | float,
        kinds: Sequence[tuple[Callable[[tf.Tensor, tf.Tensor | float], Ball], float]],
    ):
        count = len(kinds)
        first = first_row(tf.shape(images)[0])
        # Where in this replica's images each kind begins.
        self.begins = [(turn - first) % count for turn in range(count)]
        self.balls = [
            make(images[begin::count], radius * multiple)
            for begin, (make, multiple) in zip(self.begins, kinds, strict=True)
        ]
        self.multiples = [multiple for _, multiple in kinds]
        self.shape = images.shape
        # Where the images are, once those of one kind stand together.
        indices = tf.range(tf.shape(images)[0])
        self.places = tf.argsort(tf.concat([indices[begin::count] for begin in self.begins], axis=0))

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        parts = self._parts(noise)
        return self._in_turn([ball.start(part) for ball, part in zip(self.balls, parts, strict=True)])

    def remember(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        parts = zip(self.balls, self._parts(past), self._parts(gradient), strict=True)
        return self._in_turn([ball.remember(before, now) for ball, before, now in parts])

    def climb(self, x_adv: tf.Tensor, gradient: tf.Tensor, length: tf.Tensor | float) -> tf.Tensor:
        parts = zip(self.balls, self.multiples, self._parts(x_adv), self._parts(gradient), strict=True)
        return self._in_turn(
            [ball.climb(at, along, length * multiple) for ball, multiple, at, along in parts]
        )

    def _parts(self, batch: tf.Tensor) -> list[tf.Tensor]:
        return [batch[begin :: len(self.balls)] for begin in self.begins]

    def _in_turn(self, parts: Sequence[tf.Tensor]) -> tf.Tensor:
        return tf.ensure_shape(tf.gather(tf.concat(parts, axis=0), self.places), self.shape)


def _norm(x: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(x), axis=(1, 2, 3), keepdims=True))


def _direction(x: tf.Tensor) -> tf.Tensor:
    """x / |x|; 0 for 0."""
    return tf.math.divide_no_nan(x, _norm(x))
