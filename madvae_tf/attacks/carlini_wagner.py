"""The L2 attack of Carlini & Wagner (2017, section VI), untargeted, with cleverhans' names.

It looks for the smallest change that leads the classifier astray by a margin of at least
`confidence`. In tanh space, x' = (tanh(w) + 1) / 2, Adam minimises over w, for each image by
itself,

    ||x' - x||^2 + const * max(Z_y(x') - max_{j != y} Z_j(x') + confidence, 0)

and a binary search looks for the smallest `const` that succeeds: times ten until one does, then by
halves.

Ours rather than cleverhans', whose version does not run on Keras 3, gives `confidence` no effect on
success, and becomes targeted when labels are passed. Every quantity here is per image (const,
Adam's moments, the early abort), so an image's result does not depend on its batch.
"""

import dataclasses
from typing import ClassVar, NamedTuple

import tensorflow as tf

from madvae_tf.attacks.adam import Moments
from madvae_tf.attacks.base import Attack, Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.geometry import spread
from madvae_tf.attacks.objectives import margin
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function

_INSIDE = 0.999999  # keeps the inverse of tanh finite at pixels of exactly 0 and 1
_NO_BOUND = 1e10
_CHECKS = 10  # how often, in a full descent, an image may give up
_STALLED = (
    0.9999  # it gives up when its loss has not fallen below this share of the one at the last check
)


class _State(NamedTuple):
    iteration: tf.Tensor  # int32 ()
    w: tf.Tensor  # float32 (batch, height, width, channels), as the moments and `x_best`
    moments: Moments
    x_best: tf.Tensor  # the nearest successful image so far
    distance_best: (
        tf.Tensor
    )  # float32 (batch,), its squared L2 distance, infinite where there is none
    succeeded: tf.Tensor  # bool (batch,), in this descent
    active: tf.Tensor  # bool (batch,), still descending
    checked_loss: tf.Tensor  # float32 (batch,), the loss at the last check


def _is_success(lead: tf.Tensor, confidence: tf.Tensor) -> tf.Tensor:
    # A tie at confidence 0 meets the definition, but its arg-max may be the true label.
    return (lead >= confidence) & (lead > 0)


@per_target
def _original_succeeds(
    logits: Function, x: tf.Tensor, y: tf.Tensor, confidence: tf.Tensor
) -> tf.Tensor:
    return _is_success(margin(logits(x), y, y), confidence)


@per_target
def _descend(
    logits: Function,
    x: tf.Tensor,
    y: tf.Tensor,
    const: tf.Tensor,
    active: tf.Tensor,
    x_best: tf.Tensor,
    distance_best: tf.Tensor,
    confidence: tf.Tensor,
    learning_rate: tf.Tensor,
    max_iterations: tf.Tensor,
    check_interval: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One descent from x for every active image; scalars are tensors, so that no setting retraces.

    Returns:
        x_best, distance_best, succeeded as in `_State`.
    """

    def step(state: _State) -> tuple[_State]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.w)
            image = (tf.tanh(state.w) + 1.0) / 2.0
            distance = tf.reduce_sum(tf.square(image - x), [1, 2, 3])
            lead = margin(logits(image), y, y)
            loss = distance + const * tf.nn.relu(confidence - lead)
        gradient = tf.convert_to_tensor(tape.gradient(loss, state.w))

        success = state.active & _is_success(lead, confidence)
        better = success & (distance < state.distance_best)
        check = tf.equal(tf.math.floormod(state.iteration, check_interval), 0)
        active = state.active & tf.logical_not(check & (loss > _STALLED * state.checked_loss))

        moments = state.moments.updated(gradient)
        return (
            _State(
                iteration=state.iteration + 1,
                w=state.w - moments.step(learning_rate, state.iteration),
                moments=moments,
                x_best=tf.where(spread(better), image, state.x_best),
                distance_best=tf.where(better, distance, state.distance_best),
                succeeded=state.succeeded | success,
                active=active,
                checked_loss=tf.where(check, loss, state.checked_loss),
            ),
        )

    state = _State(
        iteration=tf.constant(0),
        w=tf.atanh((2.0 * x - 1.0) * _INSIDE),
        moments=Moments.zeros_like(x),
        x_best=x_best,
        distance_best=distance_best,
        succeeded=tf.zeros_like(active),
        active=active,
        checked_loss=tf.fill(tf.shape(const), float("inf")),
    )
    (state,) = tf.while_loop(
        lambda state: (state.iteration < max_iterations) & tf.reduce_any(state.active),
        step,
        (state,),
    )
    return state.x_best, state.distance_best, state.succeeded


@dataclasses.dataclass(frozen=True)
class CarliniWagner(Attack):
    """Carlini & Wagner's L2 attack; see the module's docstring.

    Attributes:
        confidence: the margin, in logits, that the returned image must reach.
        max_iterations: Adam's steps per value of `const`.
        binary_search_steps: how many values of `const` are tried.
        learning_rate: Adam's.
        initial_const: the first `const`.
        abort_early: an image stops descending when a tenth of `max_iterations` brought it nothing.
    """

    name: ClassVar[str] = "cw"
    confidence: float = parameter(0.0)
    max_iterations: int = parameter(10_000, minimum=1)
    binary_search_steps: int = parameter(9, minimum=1)
    learning_rate: float = parameter(0.01, open_minimum=True)
    initial_const: float = parameter(1e-3, open_minimum=True)
    abort_early: bool = parameter(True)

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        """The nearest successful image found, or else the original; `seed` is unused.

        An image that already meets the definition is its own nearest success: it comes back
        unchanged. Success is the target's word in its own precision: at confidence 0 a float32 twin
        of a bfloat16 target may see less of it.
        """
        confidence = tf.constant(self.confidence)
        interval = (
            max(self.max_iterations // _CHECKS, 1) if self.abort_early else self.max_iterations + 1
        )
        active = tf.logical_not(_original_succeeds(target.logits, x, y, confidence))
        x_best, distance_best = x, tf.where(active, float("inf"), 0.0)
        const = tf.fill(tf.shape(y), self.initial_const)
        lower, upper = tf.zeros_like(const), tf.fill(tf.shape(y), _NO_BOUND)
        scalars = [
            tf.constant(number) for number in (self.learning_rate, self.max_iterations, interval)
        ]
        for _ in range(self.binary_search_steps):
            x_best, distance_best, succeeded = _descend(
                target.logits, x, y, const, active, x_best, distance_best, confidence, *scalars
            )
            lower = tf.where(succeeded, lower, tf.maximum(lower, const))
            upper = tf.where(succeeded, tf.minimum(upper, const), upper)
            const = tf.where(upper < _NO_BOUND, (lower + upper) / 2.0, const * 10.0)
        return x_best
