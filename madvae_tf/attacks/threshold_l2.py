"""An L2 attack on a system that begins with a pointwise squash q, as `robust` does.

It spends the budget on pixels that cross the squash's threshold.

A steep q ignores small changes: below its threshold they do nothing, above it they all do the same.
A step along the gradient, even along that without q's slope, spreads an L2 budget thinly over many
pixels and crosses nothing. Here the gradient is with respect to q(x), and each step spends the
whole budget anew from x, as `BudgetAllocation` chooses. The gradient changes with what was taken,
so it is an average of the steps' gradients, each scaled to a mean of 1. The first misclassified
image wins.

Ours. The idea of a gradient that leaves out what shatters it is BPDA's (Athalye et al. 2018,
section 4.1), that an attack must be made for the defence is Tramer et al.'s (2020, "On adaptive
attacks").
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.budget_allocation import scaled
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import image_seeds, random_start
from madvae_tf.attacks.gradient_ascent import gradient_ascent
from madvae_tf.attacks.objectives import ascent
from madvae_tf.attacks.perturbation_sets import ThresholdL2Ball
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError


@per_target
def _search(
    logits: Function,
    squash: Function,
    x: tf.Tensor,
    y: tf.Tensor,
    start: tf.Tensor,
    epsilon: tf.Tensor,
    momentum: tf.Tensor,
    iterations: tf.Tensor,
) -> tf.Tensor:
    return gradient_ascent(
        lambda image: ascent(logits, "margin", image, y, y),
        ThresholdL2Ball(x, epsilon, squash),
        start,
        iterations,
        epsilon,
        "first",
        accumulate=lambda past, gradient: momentum * past + (1 - momentum) * scaled(gradient),
    )


@dataclasses.dataclass(frozen=True)
class ThresholdL2(RepeatedAttack):
    """The attack; see the module's docstring.

    Its target needs `squash`, and logits whose gradient leaves out the squash's slope.

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

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        """As the base's.

        Raises:
            UserError: the target has no `squash`.
        """
        if target.squash is None:
            raise UserError(
                "Invalid target of crossing: received one without squash, expected one that begins"
                " with a pointwise squash."
            )
        start = random_start(x, self.epsilon, self.norm, image_seeds(x, seed)) if number else x
        scalars = map(tf.constant, (self.epsilon, self.momentum, self.iterations))
        return _search(target.logits, target.squash, x, y, start, *scalars)
