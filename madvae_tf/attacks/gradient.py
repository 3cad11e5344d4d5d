"""Attacks that follow the sign of the loss's gradient within an L-infinity ball, and no attack at all.

    FGSM       x' = clip(x + epsilon sign(grad L(x, y)))                                Goodfellow et al. 2014
    Rand-FGSM  x0 = clip(x + alpha sign(N(0, I))), then FGSM of epsilon - alpha at x0   Tramer et al. 2017
    PGD        x0 = clip(x + U(-epsilon, epsilon)), then FGSM steps projected on the ball around x  Madry et al. 2017
    MI-FGSM    steps along the sign of g <- decay g + grad / mean |grad|                Dong et al. 2017

L is the cross-entropy of the true label, clip is to [0, 1]. Where a classifier is very sure, softmax(z)_y - 1 is a rounding error in float32 and
drowns the other classes' share of the gradient, or is 0: steps go astray, or there are none. `float64`, the default, climbs the log-odds of an error in
float64 (`objectives.log_odds`): in exact arithmetic the same steps; without it the attacks are cleverhans 4.0.0's bit for bit. A single step is cleverhans' own; many are compiled into
one loop (`loops`). Random starts are drawn here, statelessly, since cleverhans' have no seed. The projection is around x: cleverhans projects around the point it starts from, so a start of ours would let x' stray to 2 epsilon from x.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Attack, Seed, Target
from madvae_tf.attacks.loops import momentum_descent, projected_descent, sign_step
from madvae_tf.config.parameters import parameter
from madvae_tf.utils.errors import UserError


@dataclasses.dataclass(frozen=True)
class NoAttack(Attack):
    """The images as they are: the clean rows of every table."""

    name: ClassVar[str] = "none"

    def __call__(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        return x


@dataclasses.dataclass(frozen=True)
class FGSM(Attack):
    """The fast gradient sign method: one step of `epsilon` (Goodfellow et al. 2014)."""

    name: ClassVar[str] = "fgsm"
    epsilon: float = parameter(0.3, maximum=1.0)
    float64: bool = parameter(True, added=True)

    def __call__(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        return sign_step(target.logits, self.float64, x, y, tf.constant(self.epsilon))


@dataclasses.dataclass(frozen=True)
class RandFGSM(Attack):
    """A random sign step of `alpha`, then FGSM of `epsilon` - `alpha` (Tramer et al. 2017): `epsilon` in all."""

    name: ClassVar[str] = "rand_fgsm"
    epsilon: float = parameter(0.3, maximum=1.0)
    alpha: float = parameter(0.05, maximum=1.0)
    float64: bool = parameter(True, added=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.alpha > self.epsilon:
            raise UserError(
                f"Invalid rand_fgsm alpha: received {self.alpha!r}, expected at most epsilon, {self.epsilon!r}; "
                "lower alpha or raise epsilon."
            )

    def __call__(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        noise = tf.sign(tf.random.stateless_normal(tf.shape(x), seed, alg="philox"))
        start = tf.clip_by_value(x + self.alpha * noise, 0.0, 1.0)
        return sign_step(target.logits, self.float64, start, y, tf.constant(self.epsilon - self.alpha))


@dataclasses.dataclass(frozen=True)
class PGD(Attack):
    """Projected gradient descent (Madry et al. 2017): `iterations` FGSM steps of `step_size` in the ball around x."""

    name: ClassVar[str] = "pgd"
    epsilon: float = parameter(0.3, maximum=1.0)
    step_size: float = parameter(0.01, maximum=1.0, open_minimum=True)
    iterations: int = parameter(40, minimum=1)
    random_start: bool = parameter(True)
    float64: bool = parameter(True, added=True)

    def __call__(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        x_adv = x
        if self.random_start:
            noise = tf.random.stateless_uniform(tf.shape(x), seed, -self.epsilon, self.epsilon, alg="philox")
            x_adv = tf.clip_by_value(x + noise, 0.0, 1.0)
        scalars = map(tf.constant, (self.epsilon, self.step_size, self.iterations))
        return projected_descent(target.logits, self.float64, x_adv, x, y, *scalars)


@dataclasses.dataclass(frozen=True)
class MIFGSM(Attack):
    """The momentum iterative method (Dong et al. 2017), from x itself.

    Dong et al. divide the gradient by its L1 norm, cleverhans by its mean absolute value: the momentum is the same up to
    a constant factor, and only its sign is used.
    """

    name: ClassVar[str] = "mi_fgsm"
    epsilon: float = parameter(0.3, maximum=1.0)
    step_size: float = parameter(0.01, maximum=1.0, open_minimum=True)
    iterations: int = parameter(40, minimum=1)
    decay: float = parameter(1.0)
    float64: bool = parameter(True, added=True)

    def __call__(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        scalars = map(tf.constant, (self.epsilon, self.step_size, self.iterations, self.decay))
        return momentum_descent(target.logits, self.float64, x, y, *scalars)
