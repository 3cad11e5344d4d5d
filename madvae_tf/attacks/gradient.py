"""Attacks that follow the sign of the loss's gradient in an L-infinity ball, and no attack at all.

    FGSM       x' = clip(x + epsilon sign(grad L(x, y)))                Goodfellow et al. 2014
    Rand-FGSM  x0 = clip(x + alpha sign(N(0, I))),
               then FGSM of epsilon - alpha at x0                       Tramer et al. 2017
    PGD        x0 = clip(x + U(-epsilon, epsilon)),
               then FGSM steps projected on the ball around x           Madry et al. 2017
    MI-FGSM    steps along the sign of g <- decay g + grad / mean |grad|  Dong et al. 2017

L is the cross-entropy of the true label, clip is to [0, 1]. Where a classifier is very sure,
softmax(z)_y - 1 is a rounding error in float32 and drowns the other classes' share of the gradient,
or is 0: steps go astray, or there are none. `float64`, the default, follows the log-odds of an
error in float64 (`objectives.log_odds`): in exact arithmetic the same steps.

Without `float64` the attacks are cleverhans 4.0.0's bit for bit (tests/attacks/test_gradient.py). A
single step is cleverhans' own; many are one compiled loop (`gradient_ascent`), which takes less of
the processor. Random starts are drawn here, statelessly, since cleverhans' have no seed. The
projection is around x: cleverhans projects around the point it starts from, so a start of ours
would let x' stray to 2 epsilon from x.
"""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method

from madvae_tf.attacks.base import Attack, Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.gradient_ascent import gradient_ascent
from madvae_tf.attacks.objectives import Objective, ascent, cross_entropy, log_odds_in_float64
from madvae_tf.attacks.perturbation_sets import LinfBall
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError

# cleverhans' guard of the division by a gradient of zeros.
_LEAST_MEAN = 1e-12


def _loss(float64: bool) -> Objective:
    return log_odds_in_float64 if float64 else cross_entropy


@per_target
def _sign_step(
    logits: Function, float64: bool, x: tf.Tensor, y: tf.Tensor, size: tf.Tensor
) -> tf.Tensor:
    """One step of `size` along the gradient's signs, in [0, 1], by cleverhans."""

    def connected(images: tf.Tensor) -> tf.Tensor:
        # cleverhans fails where the target passes no gradient on; this adds zeros to logits and
        # gradient.
        z = tf.convert_to_tensor(logits(images))
        return z + tf.cast(0.0 * tf.reduce_sum(images, axis=(1, 2, 3))[:, tf.newaxis], z.dtype)

    def loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        return _loss(float64)(logits, labels, labels)

    return fast_gradient_method(
        connected, x, size, np.inf, loss, clip_min=0.0, clip_max=1.0, y=y, sanity_checks=False
    )


class _CleverhansBall(LinfBall):
    """The L-infinity ball with cleverhans' rounding.

    Its PGD clips a step to [0, 1] before the projection, its momentum method does not.
    """

    def __init__(self, images: tf.Tensor, radius: tf.Tensor, clip_steps: bool):
        super().__init__(images, radius)
        self.clip_steps = clip_steps

    def project(self, points: tf.Tensor) -> tf.Tensor:
        points = tf.clip_by_value(points, 0.0, 1.0) if self.clip_steps else points
        difference = tf.clip_by_value(points - self.images, -self.radius, self.radius)
        # Adding the difference back rounds, so the box is enforced once more.
        return tf.clip_by_value(self.images + difference, 0.0, 1.0)


@per_target
def _sign_steps(
    logits: Function,
    float64: bool,
    start: tf.Tensor,
    x: tf.Tensor,
    y: tf.Tensor,
    epsilon: tf.Tensor,
    size: tf.Tensor,
    iterations: tf.Tensor,
    decay: tf.Tensor | None = None,
) -> tf.Tensor:
    """The last of `iterations` sign steps around `x`, along the momentum where there is a `decay`.

    Scalars are tensors, so that none retraces.
    """

    def momentum(past: tf.Tensor, gradient: tf.Tensor) -> tf.Tensor:
        mean = tf.reduce_mean(tf.abs(gradient), axis=[1, 2, 3], keepdims=True)
        return decay * past + gradient / tf.maximum(mean, _LEAST_MEAN)

    return gradient_ascent(
        lambda x_adv: ascent(logits, _loss(float64), x_adv, y, y),
        _CleverhansBall(x, epsilon, clip_steps=decay is None),
        start,
        iterations,
        size,
        accumulate=None if decay is None else momentum,
    )


@dataclasses.dataclass(frozen=True)
class NoAttack(Attack):
    """The images as they are: the clean rows of every table."""

    name: ClassVar[str] = "none"

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        return x


@dataclasses.dataclass(frozen=True)
class FGSM(Attack):
    """The fast gradient sign method: one step of `epsilon` (Goodfellow et al. 2014)."""

    name: ClassVar[str] = "fgsm"
    epsilon: float = parameter(0.3, maximum=1.0)
    float64: bool = parameter(True, added=True)

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        return _sign_step(target.logits, self.float64, x, y, tf.constant(self.epsilon))


@dataclasses.dataclass(frozen=True)
class RandFGSM(Attack):
    """A random sign step of `alpha`, then FGSM of `epsilon` - `alpha` (Tramer et al. 2017)."""

    name: ClassVar[str] = "rand_fgsm"
    epsilon: float = parameter(0.3, maximum=1.0)
    alpha: float = parameter(0.05, maximum=1.0)
    float64: bool = parameter(True, added=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha > self.epsilon:
            raise UserError(
                f"Invalid rand_fgsm alpha: received {self.alpha!r}, expected at most epsilon,"
                f" {self.epsilon!r}; lower alpha or raise epsilon."
            )

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        noise = tf.sign(tf.random.stateless_normal(tf.shape(x), seed, alg="philox"))
        start = tf.clip_by_value(x + self.alpha * noise, 0.0, 1.0)
        return _sign_step(
            target.logits, self.float64, start, y, tf.constant(self.epsilon - self.alpha)
        )


@dataclasses.dataclass(frozen=True)
class PGD(Attack):
    """Projected gradient descent (Madry et al. 2017): `iterations` FGSM steps of `step_size`."""

    name: ClassVar[str] = "pgd"
    epsilon: float = parameter(0.3, maximum=1.0)
    step_size: float = parameter(0.01, maximum=1.0, open_minimum=True)
    iterations: int = parameter(40, minimum=1)
    random_start: bool = parameter(True)
    float64: bool = parameter(True, added=True)

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        x_adv = x
        if self.random_start:
            noise = tf.random.stateless_uniform(
                tf.shape(x), seed, -self.epsilon, self.epsilon, alg="philox"
            )
            x_adv = tf.clip_by_value(x + noise, 0.0, 1.0)
        scalars = map(tf.constant, (self.epsilon, self.step_size, self.iterations))
        return _sign_steps(target.logits, self.float64, x_adv, x, y, *scalars)


@dataclasses.dataclass(frozen=True)
class MIFGSM(Attack):
    """The momentum iterative method (Dong et al. 2017), from x itself.

    Dong et al. divide the gradient by its L1 norm, cleverhans by its mean absolute value: the
    momentum is the same up to a constant factor, and only its sign is used.
    """

    name: ClassVar[str] = "mi_fgsm"
    epsilon: float = parameter(0.3, maximum=1.0)
    step_size: float = parameter(0.01, maximum=1.0, open_minimum=True)
    iterations: int = parameter(40, minimum=1)
    decay: float = parameter(1.0)
    float64: bool = parameter(True, added=True)

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        scalars = map(tf.constant, (self.epsilon, self.step_size, self.iterations, self.decay))
        return _sign_steps(target.logits, self.float64, x, x, y, *scalars)
