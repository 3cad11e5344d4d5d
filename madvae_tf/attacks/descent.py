"""Projected gradient descent with restarts, any objective and both norms, as one compiled loop.

    x <- P(x + step_size d(grad L(x, y)))

d: the sign (L-infinity) or the direction (L2), P: ball and box.

Madry et al. 2017. `PGD` in `gradient` is the paper's attack on cleverhans' steps; with one run, no
random start and the cross-entropy this one takes the same steps, which a test holds it to.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import image_seeds, random_start
from madvae_tf.attacks.gradient_ascent import gradient_ascent
from madvae_tf.attacks.objectives import OBJECTIVES, TARGETED, Joint, Scored, ascent
from madvae_tf.attacks.perturbation_sets import BALLS
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError, lookup


@per_target
def _descend(
    logits: Function,
    loss: str,
    norm: str,
    scored: Scored | None,
    x: tf.Tensor,
    y: tf.Tensor,
    start: tf.Tensor,
    epsilon: tf.Tensor,
    step_size: tf.Tensor,
    iterations: tf.Tensor,
    early: tf.Tensor,
    weight: tf.Tensor,
) -> tf.Tensor:
    """The first fooling iterate, or the one of the largest objective, fooling ones first."""
    return gradient_ascent(
        lambda image: ascent(logits, loss, image, y, y, scored, weight),
        BALLS[norm](x, epsilon),
        start,
        iterations,
        step_size,
        "best",
        early,
    )


@dataclasses.dataclass(frozen=True)
class RestartedPGD(RepeatedAttack):
    """PGD from `restarts` random starts; see the module's docstring.

    Attributes:
        norm: linf or l2.
        loss: a row of `OBJECTIVES` without a goal class.
        early: whether an image stops at its first success; if not, it goes on to the largest
            objective, for images that are to be carried over to another model.
    """

    name: ClassVar[str] = "pgd_restarts"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    loss: str = parameter("cross_entropy")
    step_size: float = parameter(0.01, open_minimum=True)
    iterations: int = parameter(100, minimum=1)
    restarts: int = parameter(2, minimum=1)
    random_start: bool = parameter(True)
    early: bool = parameter(True)

    def __post_init__(self) -> None:
        super().__post_init__()
        lookup({name: None for name in OBJECTIVES if name not in TARGETED}, self.loss, "loss")
        if self.restarts > 1 and not self.random_start:
            raise UserError(
                f"Invalid {self.name} restarts: received {self.restarts} without a random start,"
                " expected 1; they would all be the same."
            )

    def joint(self, target: DefendedModel) -> Joint:
        """What of the target the objective asks for beside its logits."""
        return None, 0.0

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        scored, weight = self.joint(target)
        start = x
        if self.random_start:
            start = random_start(x, self.epsilon, self.norm, image_seeds(x, seed))
        scalars = map(
            tf.constant, (self.epsilon, self.step_size, self.iterations, self.early, weight)
        )
        return _descend(target.logits, self.loss, self.norm, scored, x, y, start, *scalars)
