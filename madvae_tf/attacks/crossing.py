"""An L2 attack on a system that begins with a pointwise squash q, as `robust` does: it spends the budget on pixels that cross a threshold.

A steep q ignores small changes: below its threshold they do nothing, above it they all do the same. A step along the gradient, even along
that without q's slope, spreads an L2 budget thinly over many pixels and crosses nothing. Here the gradient g is with respect to q(x), and
changing pixel i of x to the value v is taken to

    bring   g_i (q(v) - q(x_i))    and to cost    (v - x_i)^2

For each pixel the v of a grid that brings the most less lambda times its cost is chosen, with the lambda at which the budget epsilon^2 is
just not kept, and pixels are taken in the order of what they bring for their cost while it lasts: a knapsack, by its Lagrangian and then
greedily. g changes with what was taken, so it is an average of the steps' gradients, each scaled to a mean of 1, and the choice is made
anew from x at each step. The first misclassified image wins. Where q is the identity this is a sparse attack.

Ours. The idea of climbing around what shatters gradients is BPDA's (Athalye et al. 2018, section 4.1), that an attack must be made for
the defence is Tramer et al.'s (2020, "On adaptive attacks").
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.base import Seed, Target
from madvae_tf.attacks.geometry import flat, image_seeds, project, random_start, spread
from madvae_tf.attacks.objectives import ascent
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.errors import UserError
from madvae_tf.parameters import parameter

# Values that a pixel may be changed to.
_GRID = np.linspace(0.0, 1.0, 41, dtype=np.float32)
_TINY = 1e-12
# log10 of lambda: the largest is above every ratio worth taking, at the smallest cost is no matter. Each halving says one bit of it.
_LARGEST, _SMALLEST, _HALVINGS = 5.0, -4.0, 12


@tf.function
def _search(
    logits: Callable[[tf.Tensor], tf.Tensor],
    squash: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    y: tf.Tensor,
    start: tf.Tensor,
    epsilon: tf.Tensor,
    momentum: tf.Tensor,
    iterations: tf.Tensor,
) -> tf.Tensor:
    origin, squashed = flat(x), flat(squash(x))
    grid = tf.constant(_GRID)
    # (41, batch, 784): what each value of the grid would cost a pixel, and do to q(x).
    costs = tf.square(grid[:, None, None] - origin)
    effects = tf.reshape(squash(grid[:, None, None, None]), (-1, 1, 1)) - squashed

    def best(gradient: tf.Tensor) -> tf.Tensor:
        """The greedy choice, float32 (batch, 28, 28, 1)."""
        brings = gradient * effects

        def chosen(exponent: tf.Tensor) -> tf.Tensor:
            """The values for lambda = 10^exponent, (batch,): (batch, 784)."""
            gains = brings - tf.pow(10.0, exponent)[:, None] * costs
            index = tf.argmax(gains, axis=0)
            worth = tf.reduce_max(gains, axis=0) > 0
            return tf.where(worth, tf.gather(grid, index), origin)

        def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            middle = (low + high) / 2
            cost = tf.reduce_sum(tf.square(chosen(middle) - origin), axis=1)
            kept = cost <= tf.square(epsilon)
            return tf.where(kept, low, middle), tf.where(kept, middle, high)

        ends = tf.fill([tf.shape(x)[0]], _SMALLEST), tf.fill([tf.shape(x)[0]], _LARGEST)
        low, _ = tf.while_loop(lambda low, high: True, halve, ends, maximum_iterations=_HALVINGS)
        value = chosen(low)
        cost = tf.square(value - origin)
        ratio = gradient * (flat(squash(tf.reshape(value, tf.shape(x)))) - squashed) / (cost + _TINY)
        order = tf.argsort(ratio, axis=1, direction="DESCENDING")
        spent = tf.cumsum(tf.gather(cost, order, batch_dims=1), axis=1)
        # The first that does not fit ends it.
        fits = tf.gather(spent <= tf.square(epsilon), tf.argsort(order, axis=1), batch_dims=1)
        image = tf.reshape(tf.where(fits & (ratio > 0), value, origin), tf.shape(x))
        # Rounding may leave it a hair outside.
        return tf.ensure_shape(project(image, x, epsilon, "l2"), x.shape)

    def step(
        index: tf.Tensor, image: tf.Tensor, average: tf.Tensor, result: tf.Tensor, done: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        _, gradient, fooled = ascent(logits, "margin", image, y, y)
        gradient = flat(gradient)
        scale = tf.reduce_mean(tf.abs(gradient), axis=1, keepdims=True)
        average = momentum * average + (1 - momentum) * tf.math.divide_no_nan(gradient, scale)
        result = tf.where(spread(fooled & tf.logical_not(done)), image, result)
        return index + 1, best(average), average, result, done | fooled

    loop = (tf.constant(0), start, tf.zeros_like(origin), start, tf.zeros_like(y, tf.bool))
    _, image, _, result, done = tf.while_loop(
        lambda index, image, average, result, done: (
            (index < iterations) & tf.logical_not(tf.reduce_all(done))
        ),
        step,
        loop,
    )
    # The last choice has not been looked at; the caller does.
    return tf.where(spread(done), result, image)


@dataclasses.dataclass(frozen=True)
class Crossing(RepeatedAttack):
    """The attack; see the module's docstring. Its target needs `squash`, and logits whose gradient leaves out the squash's slope.

    Attributes:
        epsilon: the L2 budget.
        iterations: gradients of a run.
        momentum: the share of the average gradient that a step keeps, in [0, 1).
        restarts: the first from x itself, the others from random starts.
    """

    name: ClassVar[str] = "crossing"
    norm: ClassVar[str] = "l2"
    epsilon: float = parameter(2.0)
    iterations: int = parameter(100, minimum=1)
    momentum: float = parameter(0.9, maximum=0.999)
    restarts: int = parameter(1, minimum=1)

    @property
    def runs(self) -> int:
        """One for each restart."""
        return self.restarts

    def run(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int) -> tf.Tensor:
        """As the base's.

        Raises:
            UserError: the target has no `squash`.
        """
        if target.squash is None:
            raise UserError(
                "Invalid target of crossing: received one without squash, expected one that begins with a pointwise squash."
            )
        start = random_start(x, self.epsilon, self.norm, image_seeds(x, seed)) if number else x
        numbers = tf.constant(self.epsilon), tf.constant(self.momentum), tf.constant(self.iterations)
        return _search(target.logits, target.squash, x, y, start, *numbers)
