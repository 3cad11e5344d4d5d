"""Where an attack may go: the points of [0, 1] near each image, and how a step goes there.

An attack projects on these sets and steps along their steepest ascent (`gradient_ascent`); training
and evaluation share them.
"""

import abc
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from madvae_tf.attacks.budget_allocation import BudgetAllocation, scaled
from madvae_tf.attacks.geometry import direction, flat, l2_norm, project_l2
from madvae_tf.models.defended_model import Function


class PerturbationSet(abc.ABC):
    """The points of [0, 1] around a batch of images, float32 (batch, height, width, channels)."""

    @abc.abstractmethod
    def start(self, noise: tf.Tensor) -> tf.Tensor:
        """A point of it, from noise uniform in [-1, 1] of the images' shape."""

    def accumulate(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        """What to step along; by default the gradient.

        Args:
            past: what the step before went along, 0 in the first.
            gradient: that at the point.
        """
        del past
        return gradient

    @abc.abstractmethod
    def step(self, x_adv: tf.Tensor, along: tf.Tensor, length: Any) -> tf.Tensor:
        """The point of it that a step of `length`, in units of the radius, reaches from `x_adv`."""


class Ball(PerturbationSet):
    """The points of [0, 1] at most `radius` away in a norm; a step is steepest ascent, projected.

    Args:
        images: the middle, in [0, 1].
        radius: float32 ().
    """

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float):
        self.images, self.radius = images, radius

    @abc.abstractmethod
    def project(self, points: tf.Tensor) -> tf.Tensor:
        """A point of the ball near each of these, anywhere; a point of the ball stays."""

    @abc.abstractmethod
    def normalize(self, gradient: tf.Tensor) -> tf.Tensor:
        """The steepest ascent of norm 1; 0 where the gradient is 0."""

    def step(self, x_adv: tf.Tensor, along: tf.Tensor, length: Any) -> tf.Tensor:
        return self.project(x_adv + length * self.normalize(along))


class LinfBall(Ball):
    """At most `radius` away in every pixel; steps go along the gradient's sign."""

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float):
        super().__init__(images, radius)
        self.lowest, self.highest = (
            tf.maximum(images - radius, 0.0),
            tf.minimum(images + radius, 1.0),
        )

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        return self.project(self.images + self.radius * noise)

    def project(self, points: tf.Tensor) -> tf.Tensor:
        """The nearest point."""
        return tf.clip_by_value(points, self.lowest, self.highest)

    def normalize(self, gradient: tf.Tensor) -> tf.Tensor:
        return tf.sign(gradient)


class L2Ball(Ball):
    """At most `radius` away in L2; steps go along the gradient, scaled to length 1."""

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        """On the sphere: nearly all of a ball in so many dimensions is there."""
        return self._within(self.radius * self.normalize(noise))

    def project(self, points: tf.Tensor) -> tf.Tensor:
        """Onto the ball, then onto [0, 1].

        It is quick, but what the box holds back of the radius is not spent elsewhere.
        """
        return self._within(points - self.images)

    def normalize(self, gradient: tf.Tensor) -> tf.Tensor:
        return tf.math.divide_no_nan(gradient, l2_norm(gradient))

    def _within(self, difference: tf.Tensor) -> tf.Tensor:
        factor = tf.minimum(1.0, tf.math.divide_no_nan(self.radius, l2_norm(difference)))
        # divide_no_nan has 0 for a difference of 0, which stays 0.
        return tf.clip_by_value(self.images + factor * difference, 0.0, 1.0)


class ExactL2Ball(L2Ball):
    """The same ball, with the exact projection, which sorts, and gradients of any size."""

    def project(self, points: tf.Tensor) -> tf.Tensor:
        """See `geometry.project_l2`."""
        return project_l2(points, self.images, self.radius)

    def normalize(self, gradient: tf.Tensor) -> tf.Tensor:
        return direction(gradient, "l2")


# Of a norm of `geometry.NORMS` the ball of the attacks that evaluate.
BALLS: dict[str, type[Ball]] = {"linf": LinfBall, "l2": ExactL2Ball}


class ThresholdL2Ball(L2Ball):
    """An L2 ball in front of a pointwise squash, whose steps `BudgetAllocation` chooses.

    A step spends the whole radius, whatever its length and start, by the gradient with respect to
    the squashed image, summed over the steps.
    """

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float, squash: Function):
        super().__init__(images, radius)
        self.allocation = BudgetAllocation(images, squash, radius)

    def accumulate(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        return past + scaled(gradient)

    def step(self, x_adv: tf.Tensor, along: tf.Tensor, length: Any) -> tf.Tensor:
        del x_adv, length
        return self.allocation.allocate(flat(along))


class SlopedL2Ball(L2Ball):
    """An L2 ball in front of a pointwise squash whose slope the gradients leave out.

    It puts the slope back, so that steps are `L2Ball`'s.
    """

    def __init__(self, images: tf.Tensor, radius: tf.Tensor | float, squash: Function):
        super().__init__(images, radius)
        self.squash = squash

    def step(self, x_adv: tf.Tensor, along: tf.Tensor, length: Any) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(x_adv)
            squashed = self.squash(x_adv)
        # Of a function of each pixel alone, the gradient of the sum is the slope, pixel by pixel.
        slope: Any = tape.gradient(squashed, x_adv)
        return super().step(x_adv, slope * along, length)


class MixedNormBall(PerturbationSet):
    """The images of the batch in sets of several kinds in turn.

    Of n kinds, image i of the global batch is in the set of kind i mod n.

    Args:
        images: the batch.
        radius: of the sets; lengths are in its units.
        kinds: at least one; how a set is made of images and radius, and the multiple of `radius`
            and of lengths that it has.
        first_row: where in the global batch the first image is, int32 ().
    """

    def __init__(
        self,
        images: tf.Tensor,
        radius: tf.Tensor | float,
        kinds: Sequence[tuple[Callable[[tf.Tensor, tf.Tensor | float], PerturbationSet], float]],
        first_row: Any = 0,
    ):
        count = len(kinds)
        # Where in these images each kind begins.
        self.begins = [(turn - first_row) % count for turn in range(count)]
        self.sets = [
            make(images[begin::count], radius * multiple)
            for begin, (make, multiple) in zip(self.begins, kinds, strict=True)
        ]
        self.multiples = [multiple for _, multiple in kinds]
        self.shape = images.shape
        # Where the images are, once those of one kind stand together.
        indices = tf.range(tf.shape(images)[0])
        self.places = tf.argsort(
            tf.concat([indices[begin::count] for begin in self.begins], axis=0)
        )

    def start(self, noise: tf.Tensor) -> tf.Tensor:
        return self._of_each(lambda each, multiple, part: each.start(part), noise)

    def accumulate(self, past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        return self._of_each(
            lambda each, multiple, before, now: each.accumulate(before, now), past, gradient
        )

    def step(self, x_adv: tf.Tensor, along: tf.Tensor, length: Any) -> tf.Tensor:
        return self._of_each(
            lambda each, multiple, at, way: each.step(at, way, length * multiple), x_adv, along
        )

    def _of_each(self, function: Callable[..., tf.Tensor], *batches: tf.Tensor) -> tf.Tensor:
        """Results of function(set, multiple, its images of each batch), in the images' order."""
        shares = [[batch[begin :: len(self.sets)] for begin in self.begins] for batch in batches]
        parts = [function(*each) for each in zip(self.sets, self.multiples, *shares, strict=True)]
        return tf.ensure_shape(tf.gather(tf.concat(parts, axis=0), self.places), self.shape)
