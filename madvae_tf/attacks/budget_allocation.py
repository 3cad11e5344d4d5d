"""What an L2 budget does most with in front of a pointwise squash q, by the gradient g at q(x).

Changing pixel i of x to the value v is taken to

    bring   g_i (q(v) - q(x_i))    and to cost    (v - x_i)^2

For each pixel the v of a grid that brings the most less lambda times its cost is chosen, with the
lambda at which the budget epsilon^2 is just not kept, and pixels are taken in the order of what
they bring for their cost while it lasts: the Lagrangian of that choice, and then greedily. Where q
is steep this takes pixels across its threshold; where q is the identity it is the step along the
gradient, rounded to the grid.
"""

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.geometry import flat, project_l2
from madvae_tf.models.defended_model import Function

# Values that a pixel may be changed to.
_GRID = np.linspace(0.0, 1.0, 41, dtype=np.float32)
_TINY = 1e-12
# log10 of lambda: the largest is above every ratio worth taking, at the smallest cost is no matter.
# Each halving says one bit of it.
_LARGEST, _SMALLEST, _HALVINGS = 5.0, -4.0, 12


class BudgetAllocation:
    """The choices around one batch of images.

    Args:
        images: float32 (batch, height, width, channels) in [0, 1].
        squash: q, pointwise and monotone, of such images.
        epsilon: the L2 budget of each image, float32 ().
    """

    def __init__(self, images: tf.Tensor, squash: Function, epsilon: tf.Tensor | float):
        self.images, self.squash, self.epsilon = images, squash, tf.convert_to_tensor(epsilon)
        self.origin, self.squashed = flat(images), flat(squash(images))
        self.grid = tf.constant(_GRID)
        # (41, batch, pixels): what each value of the grid would cost a pixel, and do to q(x).
        self.costs = tf.square(self.grid[:, None, None] - self.origin)
        self.effects = (
            tf.reshape(squash(self.grid[:, None, None, None]), (-1, 1, 1)) - self.squashed
        )

    def allocate(self, gradient: tf.Tensor) -> tf.Tensor:
        """The images of the greedy choice, in the ball.

        Args:
            gradient: float32 (batch, pixels), of a mean size of about 1.
        """
        brings = gradient * self.effects

        def chosen(exponent: tf.Tensor) -> tf.Tensor:
            """The values for lambda = 10^exponent, (batch,): (batch, pixels)."""
            gains = brings - tf.pow(10.0, exponent)[:, None] * self.costs
            index = tf.argmax(gains, axis=0)
            worth = tf.reduce_max(gains, axis=0) > 0
            return tf.where(worth, tf.gather(self.grid, index), self.origin)

        def halve(low: tf.Tensor, high: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            middle = (low + high) / 2
            cost = tf.reduce_sum(tf.square(chosen(middle) - self.origin), axis=1)
            kept = cost <= tf.square(self.epsilon)
            return tf.where(kept, low, middle), tf.where(kept, middle, high)

        batch = tf.shape(gradient)[0]
        ends = tf.fill([batch], _SMALLEST), tf.fill([batch], _LARGEST)
        low, _ = tf.while_loop(lambda low, high: True, halve, ends, maximum_iterations=_HALVINGS)
        value = chosen(low)
        shape = tf.shape(self.images)
        cost = tf.square(value - self.origin)
        ratio = (
            gradient
            * (flat(self.squash(tf.reshape(value, shape))) - self.squashed)
            / (cost + _TINY)
        )
        order = tf.argsort(ratio, axis=1, direction="DESCENDING")
        spent = tf.cumsum(tf.gather(cost, order, batch_dims=1), axis=1)
        # The first that does not fit ends it.
        fits = tf.gather(spent <= tf.square(self.epsilon), tf.argsort(order, axis=1), batch_dims=1)
        taken = tf.reshape(tf.where(fits & (ratio > 0), value, self.origin), shape)
        # Rounding may leave it a hair outside.
        return tf.ensure_shape(project_l2(taken, self.images, self.epsilon), self.images.shape)


def scaled(gradient: tf.Tensor) -> tf.Tensor:
    """Gradients of images, each scaled to a mean size of 1, to weigh the same; 0 stays 0."""
    mean = tf.reduce_mean(tf.abs(gradient), axis=[1, 2, 3], keepdims=True)
    return tf.math.divide_no_nan(gradient, mean)
