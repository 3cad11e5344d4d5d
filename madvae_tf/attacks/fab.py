"""FAB-T: the fast adaptive boundary attack in its targeted form (Croce & Hein 2020).

It looks for the nearest misclassified image.

For a goal class t, m(x) = z_t(x) - z_y(x) is linearised at x_i; d_i and d_o are the shortest steps
within the box from x_i and from the original x_o to the plane where the linear m is 0. Then

    a       = min(||d_i|| / (||d_i|| + ||d_o||), 0.1)
    x_{i+1} = clip((1 - a) (x_i + 1.05 d_i) + a (x_o + 1.05 d_o))

and where x_{i+1} is misclassified, as whatever class, and nearer than all before it, it is kept,
and the search goes on from 0.1 x_o + 0.9 x_{i+1}. At the end three steps of false position on the
line from x_o bring the kept image nearer to the boundary.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.apgd import TARGETS, goals
from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import (
    distance,
    flat,
    image_seeds,
    random_start,
    spread,
    step_to_plane,
)
from madvae_tf.attacks.objectives import ascent, margin, misclassified
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.labels import MOST_CLASSES

_BIAS, _BEYOND, _BACK, _FINAL = 0.1, 1.05, 0.9, 3
_NOWHERE = 1e10


@per_target
def _approach(
    logits: Function,
    norm: str,
    x: tf.Tensor,
    y: tf.Tensor,
    goal: tf.Tensor,
    start: tf.Tensor,
    epsilon: tf.Tensor,
    iterations: tf.Tensor,
) -> tf.Tensor:
    """The nearest misclassified image found, if it is within epsilon, else x."""

    def step(
        index: tf.Tensor, image: tf.Tensor, nearest: tf.Tensor, radius: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        offset, normal, _ = ascent(logits, "margin_targeted", image, y, goal)
        from_here = step_to_plane(image, normal, offset, norm)
        to_origin = tf.reduce_sum(flat(normal) * flat(x - image), axis=1)
        from_origin = step_to_plane(x, normal, offset + to_origin, norm)
        here, origin = distance(from_here, norm), distance(from_origin, norm)
        share = spread(tf.minimum(here / tf.maximum(here + origin, 1e-12), _BIAS))
        moved = (1 - share) * (image + _BEYOND * from_here) + share * (x + _BEYOND * from_origin)
        image = tf.clip_by_value(moved, 0.0, 1.0)
        fooled = misclassified(logits(image), y)
        away = distance(image - x, norm)
        nearer = fooled & (away < radius)
        nearest = tf.where(spread(nearer), image, nearest)
        image = tf.where(spread(fooled), (1 - _BACK) * x + _BACK * image, image)
        return index + 1, image, nearest, tf.where(nearer, away, radius)

    _, _, nearest, radius = tf.while_loop(
        lambda index, *_: index < iterations,
        step,
        (tf.constant(0), start, x, tf.fill(tf.shape(y), _NOWHERE)),
    )
    found = radius < _NOWHERE

    inner, outer = x, nearest
    below, above = margin(logits(x), y, goal), margin(logits(nearest), y, goal)
    for _ in range(_FINAL):
        # `below` is negative where the original is right, and `above` positive where something was
        # found.
        share = spread(tf.clip_by_value(-below / tf.maximum(above - below, 1e-12), 0.0, 1.0))
        between = inner + share * (outer - inner)
        value = margin(logits(between), y, goal)
        fooled = value > 0
        outer, above = tf.where(spread(fooled), between, outer), tf.where(fooled, value, above)
        inner, below = tf.where(spread(fooled), inner, between), tf.where(fooled, below, value)
    return tf.where(spread(found & (distance(outer - x, norm) <= epsilon)), outer, x)


@dataclasses.dataclass(frozen=True)
class FAB(RepeatedAttack):
    """FAB-T; see the module's docstring.

    It seeks the nearest image whatever `epsilon`, and returns it if it is within.

    Attributes:
        norm: linf or l2.
        targets: the most likely wrong classes that are tried, or all where there are no more.
        restarts: the first starts at the image itself, others at random within epsilon / 2.
    """

    name: ClassVar[str] = "fab_t"
    norm: str = parameter("linf")
    epsilon: float = parameter(0.3)
    iterations: int = parameter(100, minimum=1)
    restarts: int = parameter(1, minimum=1)
    targets: int = parameter(TARGETS, minimum=1, maximum=MOST_CLASSES - 1)

    @property
    def runs(self) -> int:
        """Restarts times targets."""
        return self.restarts * self.targets

    def for_classes(self, classes: int) -> "FAB":
        """With the targets that there are."""
        return dataclasses.replace(self, targets=min(self.targets, classes - 1))

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        restart, rank = divmod(number, self.targets)
        start = random_start(x, self.epsilon / 2, self.norm, image_seeds(x, seed)) if restart else x
        goal = goals(target.logits, x, y, tf.constant(rank))
        scalars = map(tf.constant, (self.epsilon, self.iterations))
        return _approach(target.logits, self.norm, x, y, goal, start, *scalars)
