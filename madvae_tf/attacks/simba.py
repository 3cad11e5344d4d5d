"""SimBA on the pixel basis: one pixel after another, up or down (Guo et al. 2019, Algorithm 1).

A change is kept where the true class loses.

    for q in a random order of the pixels, each once:   for s in (+step, -step):
        if p(y | x + d + s e_q) < p(y | x + d):   d <- d + s e_q, and on to the next pixel

Log-odds are compared, which have the order of the probabilities and do not round to 1. Every pixel
is changed at most once, so no pixel moves by more than `step`; in L2 a change that would leave the
budget is not made. Images are clipped to [0, 1].
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import distance, draws, image_seeds, spread, values_of
from madvae_tf.attacks.objectives import log_odds, misclassified
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError


@per_target
def _search(
    logits: Function,
    norm: str,
    x: tf.Tensor,
    y: tf.Tensor,
    order: tf.Tensor,
    epsilon: tf.Tensor,
    size: tf.Tensor,
    queries: tf.Tensor,
) -> tf.Tensor:
    """What the search comes to; `order` int32 (batch, 784). A query of each image at a time."""
    values = values_of(x)

    def look(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        z = logits(image)
        return -log_odds(z, y), misclassified(z, y)

    def step(
        asked: tf.Tensor,
        image: tf.Tensor,
        lowest: tf.Tensor,
        place: tf.Tensor,
        down: tf.Tensor,
        done: tf.Tensor,
    ) -> tuple[tf.Tensor, ...]:
        pixel = tf.gather(order, tf.minimum(place, values - 1), batch_dims=1)
        change = tf.where(down, -size, size)[:, None] * tf.one_hot(pixel, values)
        candidate = tf.clip_by_value(image + tf.reshape(change, tf.shape(image)), 0.0, 1.0)
        found, fooled = look(candidate)
        inside = distance(candidate - x, norm) <= epsilon
        taken = (found < lowest) & inside & tf.logical_not(done) & (place < values)
        return (
            asked + 1,
            tf.where(spread(taken), candidate, image),
            tf.where(taken, found, lowest),
            place + tf.cast(taken | down, tf.int32),
            tf.logical_not(taken | down),
            done | (taken & fooled),
        )

    lowest, done = look(x)
    start = (tf.constant(1), x, lowest, tf.zeros_like(y, tf.int32), tf.zeros_like(done), done)
    _, image, *_ = tf.while_loop(
        lambda asked, image, lowest, place, down, done: (
            (asked < queries) & tf.reduce_any(tf.logical_not(done) & (place < values))
        ),
        step,
        start,
    )
    return image


@dataclasses.dataclass(frozen=True)
class SimBA(RepeatedAttack):
    """SimBA; see the module's docstring. It takes no gradient.

    Attributes:
        norm: linf or l2.
        step: of a pixel; at most epsilon.
        queries: the most that a run asks for; it never needs more than two for each pixel and one,
            1,569 of 28 x 28 pixels.
        restarts: each of `queries`, with another order of the pixels.
    """

    name: ClassVar[str] = "simba"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    step: float = parameter(0.2, open_minimum=True)
    queries: int = parameter(1569, minimum=1)
    restarts: int = parameter(1, minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step > self.epsilon:
            raise UserError(
                f"Invalid simba step: received {self.step}, expected at most epsilon,"
                f" {self.epsilon}; no change would be allowed."
            )

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        keys = draws(image_seeds(x, seed), [values_of(x)])
        # A hair for the rounding of x + step.
        scalars = map(tf.constant, (self.epsilon * (1 + 1e-6), self.step, self.queries))
        return _search(target.logits, self.norm, x, y, tf.argsort(keys, axis=1), *scalars)
