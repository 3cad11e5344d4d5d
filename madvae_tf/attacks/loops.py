"""cleverhans' fast gradient step, and PGD and the momentum iterative method as one compiled loop each, with cleverhans' arithmetic, step for step.

    x <- clip(x + size sign(grad L)), then projected on the L-infinity ball around the original

cleverhans compiles the gradient and drives it from Python, some ten small operations a step; compiled, the loop gives the same
images, bit for bit (tests/attacks/test_gradient.py), for less of the processor.
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.objectives import log_odds

# cleverhans' guard of the division by a gradient of zeros.
_LEAST_MEAN = 1e-12


def entropy_in_float64(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """What stands for the cross-entropy of float32 logits: `objectives.log_odds` in float64, (batch,), whose gradient has the same direction and does not vanish."""
    return log_odds(tf.cast(logits, tf.float64), labels)


def _gradient(
    logits: Callable[[tf.Tensor], tf.Tensor], float64: bool, x: tf.Tensor, y: tf.Tensor
) -> tf.Tensor:
    entropy = entropy_in_float64 if float64 else tf.nn.sparse_softmax_cross_entropy_with_logits
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        loss = entropy(labels=y, logits=logits(x))
    # Zeros where the target passes none on.
    gradient = tape.gradient(loss, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return tf.convert_to_tensor(gradient)


@per_target
def sign_step(
    logits: Callable[[tf.Tensor], tf.Tensor], float64: bool, x: tf.Tensor, y: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """Goodfellow et al. 2014: one step of `size` along the gradient's signs, in [0, 1]; cleverhans' `fast_gradient_method`."""

    def connected(images: tf.Tensor) -> tf.Tensor:
        # cleverhans fails where the target passes no gradient on; this adds zeros to logits and gradient.
        z = tf.convert_to_tensor(logits(images))
        return z + tf.cast(0.0 * tf.reduce_sum(images, axis=(1, 2, 3))[:, tf.newaxis], z.dtype)

    loss = entropy_in_float64 if float64 else None  # None: cleverhans' own.
    return fast_gradient_method(
        connected, x, size, np.inf, loss, clip_min=0.0, clip_max=1.0, y=y, sanity_checks=False
    )


def _projected(x_adv: tf.Tensor, x: tf.Tensor, epsilon: tf.Tensor) -> tf.Tensor:
    # Adding the difference back rounds, so the box is enforced once more.
    return tf.clip_by_value(x + tf.clip_by_value(x_adv - x, -epsilon, epsilon), 0.0, 1.0)


@per_target
def projected_descent(
    logits: Callable[[tf.Tensor], tf.Tensor],
    float64: bool,
    start: tf.Tensor,
    x: tf.Tensor,
    y: tf.Tensor,
    epsilon: tf.Tensor,
    size: tf.Tensor,
    iterations: tf.Tensor,
) -> tf.Tensor:
    """Madry et al. 2017, from `start`: float32 (batch, 28, 28, 1) within epsilon of `x`; scalars are tensors, so none retraces."""

    def step(number: tf.Tensor, x_adv: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        gradient = tf.ensure_shape(_gradient(logits, float64, x_adv, y), x.shape)
        moved = tf.clip_by_value(x_adv + size * tf.sign(gradient), 0.0, 1.0)
        return number + 1, _projected(moved, x, epsilon)

    return tf.while_loop(lambda number, _: number < iterations, step, (tf.constant(0), start))[1]


@per_target
def momentum_descent(
    logits: Callable[[tf.Tensor], tf.Tensor],
    float64: bool,
    x: tf.Tensor,
    y: tf.Tensor,
    epsilon: tf.Tensor,
    size: tf.Tensor,
    iterations: tf.Tensor,
    decay: tf.Tensor,
) -> tf.Tensor:
    """Dong et al. 2017 from `x`: the sign of g <- decay g + grad / mean |grad|."""

    def step(number: tf.Tensor, x_adv: tf.Tensor, momentum: tf.Tensor) -> tuple[tf.Tensor, ...]:
        gradient = tf.ensure_shape(_gradient(logits, float64, x_adv, y), x.shape)
        mean = tf.reduce_mean(tf.abs(gradient), axis=[1, 2, 3], keepdims=True)
        momentum = decay * momentum + gradient / tf.maximum(mean, _LEAST_MEAN)
        return number + 1, _projected(x_adv + size * tf.sign(momentum), x, epsilon), momentum

    loop = (tf.constant(0), x, tf.zeros_like(x))
    return tf.while_loop(lambda number, *_: number < iterations, step, loop)[1]
