"""SPSA: descent along a gradient estimated from values (Uesato et al. 2018, Algorithm 1).

    g       = mean_i (m(x_t + delta v_i) - m(x_t - delta v_i)) / (2 delta) v_i,
              v_i of +-1 each, drawn anew at every step
    x_{t+1} = P(x_t - Adam(g))

m is the margin z_y - max_{j != y} z_j, P the projection on ball and box; probes outside the box are
clipped to it. cleverhans' version is for one image at a time and does not run on Keras 3, whose
Adam knows no `lr`.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.adam import Moments
from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import draws, image_seeds, spread
from madvae_tf.attacks.objectives import margin, misclassified
from madvae_tf.attacks.perturbation_sets import BALLS
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import shape_of

# Of each image so many seeds in a row are a step's streams.
_STREAMS = 10_000
# Directions of one draw: all at once would need too much memory.
_CHUNK = 32


@per_target
def estimate(
    logits: Function,
    image: tf.Tensor,
    y: tf.Tensor,
    seeds: tf.Tensor,
    delta: tf.Tensor,
    pairs: int,
) -> tf.Tensor:
    """The gradient of the margin, as `image`, from 2 `pairs` values; `seeds` int32 (batch, 2)."""
    total = tf.zeros_like(image)
    for first in range(0, pairs, _CHUNK):
        count = min(_CHUNK, pairs - first)
        ways = tf.where(draws(seeds + first, [count, *shape_of(image)]) < 0, -1.0, 1.0)

        def ask(
            index: tf.Tensor, total: tf.Tensor, ways: tf.Tensor = ways
        ) -> tuple[tf.Tensor, tf.Tensor]:
            way = ways[:, index]
            # z_y - max z_j is the negative of what `margin` gives.
            above, below = (
                -margin(logits(tf.clip_by_value(image + side * delta * way, 0.0, 1.0)), y, y)
                for side in (1.0, -1.0)
            )
            return index + 1, total + spread((above - below) / (2 * delta)) * way

        _, total = tf.while_loop(
            lambda index, total, count=count: index < count, ask, (tf.constant(0), total)
        )
    return total / pairs


@per_target
def _descend(
    logits: Function,
    norm: str,
    pairs: int,
    x: tf.Tensor,
    y: tf.Tensor,
    seeds: tf.Tensor,
    epsilon: tf.Tensor,
    learning_rate: tf.Tensor,
    delta: tf.Tensor,
    iterations: tf.Tensor,
) -> tf.Tensor:
    """The first fooling iterate, or the last one."""
    ball = BALLS[norm](x, epsilon)

    def step(
        index: tf.Tensor, image: tf.Tensor, moments: Moments, done: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, Moments, tf.Tensor]:
        gradient = estimate(logits, image, y, seeds + _STREAMS * index, delta, pairs)
        moments = moments.updated(gradient)
        moved = image - moments.corrected_step(learning_rate, index)
        image = tf.where(spread(done), image, ball.project(moved))
        return index + 1, image, moments, done | misclassified(logits(image), y)

    _, image, *_ = tf.while_loop(
        lambda index, image, moments, done: (
            (index < iterations) & tf.logical_not(tf.reduce_all(done))
        ),
        step,
        (tf.constant(0), x, Moments.zeros_like(x), misclassified(logits(x), y)),
    )
    return image


@dataclasses.dataclass(frozen=True)
class SPSA(RepeatedAttack):
    """SPSA; see the module's docstring. It takes no gradient.

    Attributes:
        norm: linf or l2.
        queries: the most that a run asks for; `samples` and one more at each step.
        samples: values behind one estimate, an even number.
        delta: how far from the image they are taken.
        learning_rate: Adam's.
        restarts: each of `queries`, with other directions.
    """

    name: ClassVar[str] = "spsa"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    queries: int = parameter(12_800, minimum=4)
    samples: int = parameter(128, minimum=2)
    delta: float = parameter(0.01, open_minimum=True)
    learning_rate: float = parameter(0.01, open_minimum=True)
    restarts: int = parameter(1, minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples % 2 or self.samples > self.queries - 2:
            raise UserError(
                f"Invalid spsa samples: received {self.samples}, expected an even number below"
                f" queries - 1 ({self.queries - 1})."
            )

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        iterations = (self.queries - 1) // (self.samples + 1)
        scalars = map(tf.constant, (self.epsilon, self.learning_rate, self.delta, iterations))
        seeds = image_seeds(x, seed)
        return _descend(target.logits, self.norm, self.samples // 2, x, y, seeds, *scalars)
