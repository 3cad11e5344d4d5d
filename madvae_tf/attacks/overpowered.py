"""The overpowered attack (Jalal et al. 2017): a search on the defence's own manifold.

For the decoder G and the whole system's margin m(x') = z_y - max_{j != y} z_j, it seeks the saddle
point

    min over z, max over lambda >= 0 of
        mean_k max(m(G(z) + r_k u_k), -confidence) + lambda (mean (G(z) - x)^2 - epsilon^2 / pixels)

with Adam on z and plain ascent on lambda; u_k are random directions of norm 1, drawn anew at each
step, one for each radius r_k, so that what is found is no accident of one point. The first G(z)
within epsilon of x that is misclassified wins. Everything is per image: lambda, Adam's moments,
margins and the end. One image of the pair is x itself. Where G(z) is farther than epsilon from x,
which for small budgets it always is, the point of the ball nearest to it is tried, so that the
attack is one on every image.

A purifier that searches G's range (Defense-GAN) finds G(z) again, so the search looks at the
classifier's answer to it, `range_logits`, as the authors' attack on Defense-GAN does, where a look
through the purifier would be hundreds of looks at G. What counts is the whole system's answer all
the same: every `_STRETCH` steps it is asked whether what was found, or else the point of the ball
nearest to G(z), fools it.

From the ported code are the 20 restarts, Adam's 0.05, lambda's start at 1000, the radii and the
confidence; it averages 100 directions at each step. lambda's rate, the number of steps and the
first restart, from the encoder's own code of x, are ours.
"""

import dataclasses
import functools
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.adam import Moments
from madvae_tf.attacks.base import Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import draws, image_seeds, project_l2, spread, values_of
from madvae_tf.attacks.objectives import margin, misclassified
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.errors import UserError

RADII = (1.0, 2.5, 3.0, 3.5)


# Images that have fallen leave the batch after so many steps; the attack takes six looks at each
# image at each step.
_STRETCH = 20


class _State(NamedTuple):
    z: tf.Tensor  # float32 (batch, latent), as the moments
    moments: Moments
    multiplier: tf.Tensor  # float32 (batch,)
    result: tf.Tensor  # float32 (batch, height, width, channels)
    done: tf.Tensor  # bool (batch,)


# Without a trace for every size that a batch shrinks to.
@functools.partial(per_target, reduce_retracing=True)
def _search(
    logits: Function,
    decode: Function,
    x: tf.Tensor,
    y: tf.Tensor,
    state: _State,
    seeds: tf.Tensor,
    first_step: tf.Tensor,
    end: tf.Tensor,
    in_range: tf.Tensor,
    epsilon: tf.Tensor,
    confidence: tf.Tensor,
    learning_rate: tf.Tensor,
    multiplier_rate: tf.Tensor,
) -> _State:
    """Steps `first_step` to `end` (int32, exclusive), or fewer where every image has fallen.

    Args:
        in_range: whether only a G(z) within the ball itself counts.
    """

    def step(index: tf.Tensor, old: _State) -> tuple[tf.Tensor, _State]:
        # Another stream at each step, the same for an image whatever its batch.
        noise = draws(seeds + index, [len(RADII), values_of(x)], normal=True)
        noise = noise / tf.norm(noise, axis=2, keepdims=True) * tf.constant(RADII)[:, None]
        moves = tf.reshape(noise, tf.concat([tf.shape(noise)[:2], tf.shape(x)[1:]], 0))
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(old.z)
            image = decode(old.z)
            excess = tf.reduce_mean(tf.square(image - x), [1, 2, 3]) - tf.square(
                epsilon
            ) / values_of(x)
            # One look at all points, so that no sum of gradients here has more than two terms: see
            # `attacks.objectives.beside`.
            near = tf.clip_by_value(image[:, None] + moves, 0.0, 1.0)
            seen = logits(tf.reshape(near, tf.concat([[-1], tf.shape(x)[1:]], 0)))
            labels = tf.repeat(y, len(RADII))
            margins = tf.reshape(
                tf.maximum(-margin(seen, labels, labels), -confidence), (-1, len(RADII))
            )
            loss = tf.reduce_mean(margins, 1) + old.multiplier * excess
        gradient = tf.convert_to_tensor(tape.gradient(loss, old.z))

        # Within the ball it is the image itself.
        near = project_l2(image, x, epsilon)
        found = misclassified(logits(near), y) & (tf.logical_not(in_range) | (excess <= 0))
        moments = old.moments.updated(gradient)
        return index + 1, _State(
            z=old.z - moments.step(learning_rate, index),
            moments=moments,
            multiplier=tf.maximum(old.multiplier + multiplier_rate * excess, 0.0),
            # What is to be asked of the whole system yet is the latest, whose margin is the
            # largest.
            result=tf.where(
                spread(found & (in_range | tf.logical_not(old.done))), near, old.result
            ),
            done=old.done | found,
        )

    return tf.while_loop(
        # Of the range alone "done" may be taken back, and an image must not depend on its batch.
        lambda index, state: (index < end) & (in_range | tf.logical_not(tf.reduce_all(state.done))),
        step,
        (first_step, state),
    )[1]


def _asked(
    target: DefendedModel, x: tf.Tensor, y: tf.Tensor, state: _State, epsilon: tf.Tensor
) -> _State:
    """The state with the whole system's answers for those within the decoder's range."""
    decode: Any = target.decode
    near = project_l2(decode(state.z), x, epsilon)
    result = tf.where(spread(state.done), state.result, near)
    return state._replace(result=result, done=tf.not_equal(_answers(target.logits, result), y))


# `predict`, without a trace for every size that a batch shrinks to.
@functools.partial(per_target, reduce_retracing=True)
def _answers(logits: Function, x: tf.Tensor) -> tf.Tensor:
    return tf.argmax(logits(x), axis=1)


@dataclasses.dataclass(frozen=True)
class Overpowered(RepeatedAttack):
    """The overpowered attack; see the module's docstring. Its target needs `encode` and `decode`.

    Attributes:
        epsilon: the L2 budget.
        confidence: margins below its negative are no longer lowered.
        iterations: steps of a run.
        learning_rate: Adam's, on the latent code.
        multiplier, multiplier_rate: lambda's start, and its ascent.
        restarts: the first from the code of x, the others from N(0, I).
    """

    name: ClassVar[str] = "overpowered"
    norm: ClassVar[str] = "l2"
    epsilon: float = parameter(4.0)
    confidence: float = parameter(1.0)
    iterations: int = parameter(200, minimum=1)
    learning_rate: float = parameter(0.05, open_minimum=True)
    multiplier: float = parameter(1000.0)
    multiplier_rate: float = parameter(1000.0)
    restarts: int = parameter(20, minimum=1)

    def run(
        self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed, number: int
    ) -> tf.Tensor:
        """As the base's.

        Raises:
            UserError: the target has no `encode` or no `decode`.
        """
        if target.encode is None or target.decode is None:
            raise UserError(
                "Invalid target of overpowered: received one without encode and decode, expected"
                " one with both."
            )
        seeds = image_seeds(x, seed)
        start = target.encode(x)
        if number:
            start = draws(seeds, [int(start.shape[1])], normal=True)
        n = len(x)
        state = _State(
            start,
            Moments.zeros_like(start),
            tf.fill([n], tf.constant(self.multiplier)),
            x,
            tf.fill([n], False),
        )
        numbers = self.epsilon, self.confidence, self.learning_rate, self.multiplier_rate
        scalars = [tf.constant(number) for number in numbers]
        result, rows = np.array(x), np.arange(n)
        logits, in_range = (
            target.range_logits or target.logits,
            tf.constant(target.range_logits is not None),
        )
        for first_step in range(0, self.iterations, _STRETCH):
            end = min(first_step + _STRETCH, self.iterations)
            steps = tf.constant(first_step), tf.constant(end)
            state = _search(logits, target.decode, x, y, state, seeds, *steps, in_range, *scalars)
            if target.range_logits is not None:
                state = _asked(target, x, y, state, scalars[0])
            done = np.array(state.done)
            result[rows[done]] = np.array(state.result)[done]
            if done.all():
                break
            rows, remaining = rows[~done], np.flatnonzero(~done)
            x, y, seeds, state = tf.nest.map_structure(
                lambda part, remaining=remaining: tf.gather(part, remaining), (x, y, seeds, state)
            )
        return tf.constant(result)
