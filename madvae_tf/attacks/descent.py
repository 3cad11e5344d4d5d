"""Projected gradient descent with restarts, any objective and both norms, as one compiled loop.

    x <- P(x + step_size d(grad L(x, y)))     d: the sign (L-infinity) or the direction (L2), P: ball and box

Madry et al. 2017. `PGD` in `gradient` is the paper's attack on cleverhans' steps; with one run, no random start and the
cross-entropy this one takes the same steps, which a test holds it to.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Seed, Target
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import check_norm, direction, image_seeds, project, random_start, spread
from madvae_tf.attacks.objectives import OBJECTIVES, TARGETED, Joint, Scored, ascent
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.utils.errors import UserError, lookup


@per_target
def _descend(
    logits: Callable[[tf.Tensor], tf.Tensor],
    loss: str,
    norm: str,
    x: tf.Tensor,
    y: tf.Tensor,
    start: tf.Tensor,
    epsilon: tf.Tensor,
    step_size: tf.Tensor,
    iterations: tf.Tensor,
    early: tf.Tensor,
    scored: Scored | None,
    weight: tf.Tensor,
) -> tf.Tensor:
    """The first fooling iterate, or of all iterates the one of the largest objective, fooling ones before others."""

    def look(
        image: tf.Tensor, result: tf.Tensor, highest: tf.Tensor, done: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        value, gradient, fooled = ascent(logits, loss, image, y, y, scored, weight)
        better = tf.where(
            done, fooled & tf.logical_not(early) & (value > highest), fooled | (value > highest)
        )
        result = tf.where(spread(better), image, result)
        return gradient, result, tf.where(better, value, highest), done | fooled

    def step(
        index: tf.Tensor, image: tf.Tensor, result: tf.Tensor, highest: tf.Tensor, done: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        gradient, result, highest, done = look(image, result, highest, done)
        moved = image + step_size * direction(gradient, norm)
        return index + 1, project(moved, x, epsilon, norm), result, highest, done

    batch = tf.shape(x)[0]
    _, image, result, highest, done = tf.while_loop(
        lambda index, image, result, highest, done: (
            (index < iterations) & tf.logical_not(early & tf.reduce_all(done))
        ),
        step,
        (tf.constant(0), start, start, tf.fill([batch], x.dtype.min), tf.zeros([batch], tf.bool)),
    )
    return look(image, result, highest, done)[1]


@dataclasses.dataclass(frozen=True)
class RestartedPGD(RepeatedAttack):
    """PGD from `restarts` random starts; see the module's docstring.

    Attributes:
        norm: linf or l2.
        loss: a row of `OBJECTIVES` without a goal class.
        early: whether an image stops at its first success; if not, it goes on to the largest objective, for images that are to
            be carried over to another model.
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
        check_norm(self.norm)
        lookup({name: None for name in OBJECTIVES if name not in TARGETED}, self.loss, "loss")
        if self.restarts > 1 and not self.random_start:
            raise UserError(
                f"Invalid {self.name} restarts: received {self.restarts} without a random start, expected 1; "
                "they would all be the same."
            )

    @property
    def runs(self) -> int:
        """One for each restart."""
        return self.restarts

    def joint(self, target: Target) -> Joint:
        """What of the target the objective asks for beside its logits."""
        return None, 0.0

    def run(self, target: Target, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int) -> tf.Tensor:
        scored, weight = self.joint(target)
        start = x
        if self.random_start:
            start = random_start(x, self.epsilon, self.norm, image_seeds(x, seed))
        return _descend(
            target.logits,
            self.loss,
            self.norm,
            x,
            y,
            start,
            tf.constant(self.epsilon),
            tf.constant(self.step_size),
            tf.constant(self.iterations),
            tf.constant(self.early),
            scored,
            tf.constant(weight),
        )
