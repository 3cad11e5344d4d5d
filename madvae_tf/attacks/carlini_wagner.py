"""The L2 attack of Carlini & Wagner (2017, section VI), untargeted, with cleverhans' parameter names.

It looks for the smallest change that leads the classifier astray by a margin of at least `confidence`. In tanh space,
x' = (tanh(w) + 1) / 2, Adam minimises over w, for each image by itself,

    ||x' - x||^2 + const * max(Z_y(x') - max_{j != y} Z_j(x') + confidence, 0)

and a binary search looks for the smallest `const` that succeeds: times ten until one does, then by halves.

Ours rather than cleverhans', whose version does not run on Keras 3, gives `confidence` no effect on success, and becomes
targeted when labels are passed. Every quantity here is per image (const, Adam's moments, the early abort), so an image's
result does not depend on its batch.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import tensorflow as tf

from madvae_tf.attacks.base import Attack, Seed
from madvae_tf.attacks.compiled import per_target
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel

_FIRST_DECAY, _SECOND_DECAY, _ADAM_EPSILON = 0.9, 0.999, 1e-8
_INSIDE = 0.999999  # keeps the inverse of tanh finite at pixels of exactly 0 and 1
_NO_BOUND = 1e10
_CHECKS = 10  # how often, in a full descent, an image may give up
_STALLED = 0.9999  # it gives up when its loss has not fallen below this share of the one at the last check


class _State(NamedTuple):
    iteration: tf.Tensor  # int32 ()
    w: tf.Tensor  # float32 (batch, 28, 28, 1), as the two moments and `best`
    first_moment: tf.Tensor
    second_moment: tf.Tensor
    best: tf.Tensor  # the nearest successful image so far
    best_distance: tf.Tensor  # float32 (batch,), its squared L2 distance, infinite where there is none
    succeeded: tf.Tensor  # bool (batch,), in this descent
    active: tf.Tensor  # bool (batch,), still descending
    checked_loss: tf.Tensor  # float32 (batch,), the loss at the last check


def _margin(logits: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """max_{j != y} Z_j - Z_y, (batch,): positive where the image is misclassified."""
    true = tf.one_hot(y, logits.shape[-1], on_value=True, off_value=False)
    return tf.reduce_max(tf.where(true, logits.dtype.min, logits), 1) - tf.reduce_max(
        tf.where(true, logits, logits.dtype.min), 1
    )


def _is_success(margin: tf.Tensor, confidence: tf.Tensor) -> tf.Tensor:
    # A tie at confidence 0 meets the definition, but its arg-max may be the true label.
    return (margin >= confidence) & (margin > 0)


@per_target
def _original_succeeds(
    logits: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, y: tf.Tensor, confidence: tf.Tensor
) -> tf.Tensor:
    return _is_success(_margin(logits(x), y), confidence)


@per_target
def _descend(
    logits: Callable[[tf.Tensor], tf.Tensor],
    x: tf.Tensor,
    y: tf.Tensor,
    const: tf.Tensor,
    active: tf.Tensor,
    best: tf.Tensor,
    best_distance: tf.Tensor,
    confidence: tf.Tensor,
    learning_rate: tf.Tensor,
    max_iterations: tf.Tensor,
    check_interval: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One descent from x for every active image; scalars are tensors, so that no setting retraces.

    Returns:
        best, best_distance, succeeded as in `_State`.
    """

    def step(state: _State) -> tuple[_State]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.w)
            image = (tf.tanh(state.w) + 1.0) / 2.0
            distance = tf.reduce_sum(tf.square(image - x), [1, 2, 3])
            margin = _margin(logits(image), y)
            loss = distance + const * tf.nn.relu(confidence - margin)
        gradient = tf.convert_to_tensor(tape.gradient(loss, state.w))

        success = state.active & _is_success(margin, confidence)
        better = success & (distance < state.best_distance)
        check = tf.equal(tf.math.floormod(state.iteration, check_interval), 0)
        active = state.active & tf.logical_not(check & (loss > _STALLED * state.checked_loss))

        time = tf.cast(state.iteration + 1, tf.float32)
        first = _FIRST_DECAY * state.first_moment + (1 - _FIRST_DECAY) * gradient
        second = _SECOND_DECAY * state.second_moment + (1 - _SECOND_DECAY) * tf.square(gradient)
        rate = learning_rate * tf.sqrt(1 - tf.pow(_SECOND_DECAY, time)) / (1 - tf.pow(_FIRST_DECAY, time))
        change = rate * first / (tf.sqrt(second) + _ADAM_EPSILON)
        return (
            _State(
                iteration=state.iteration + 1,
                w=state.w - change,
                first_moment=first,
                second_moment=second,
                best=tf.where(better[:, None, None, None], image, state.best),
                best_distance=tf.where(better, distance, state.best_distance),
                succeeded=state.succeeded | success,
                active=active,
                checked_loss=tf.where(check, loss, state.checked_loss),
            ),
        )

    state = _State(
        iteration=tf.constant(0),
        w=tf.atanh((2.0 * x - 1.0) * _INSIDE),
        first_moment=tf.zeros_like(x),
        second_moment=tf.zeros_like(x),
        best=best,
        best_distance=best_distance,
        succeeded=tf.zeros_like(active),
        active=active,
        checked_loss=tf.fill(tf.shape(const), float("inf")),
    )
    (state,) = tf.while_loop(
        lambda state: (state.iteration < max_iterations) & tf.reduce_any(state.active), step, (state,)
    )
    return state.best, state.best_distance, state.succeeded


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
        """The nearest successful image found, or the original, bit for bit, where there is none; `seed` is unused.

        An image that already meets the definition is its own nearest success: it comes back unchanged. Success is the
        target's word in its own precision: at confidence 0 a float32 twin of a bfloat16 target may see less of it.
        """
        confidence = tf.constant(self.confidence)
        interval = max(self.max_iterations // _CHECKS, 1) if self.abort_early else self.max_iterations + 1
        active = tf.logical_not(_original_succeeds(target.logits, x, y, confidence))
        best, best_distance = x, tf.where(active, float("inf"), 0.0)
        const = tf.fill(tf.shape(y), self.initial_const)
        lower, upper = tf.zeros_like(const), tf.fill(tf.shape(y), _NO_BOUND)
        for _ in range(self.binary_search_steps):
            best, best_distance, succeeded = _descend(
                target.logits,
                x,
                y,
                const,
                active,
                best,
                best_distance,
                confidence,
                tf.constant(self.learning_rate),
                tf.constant(self.max_iterations),
                tf.constant(interval),
            )
            lower = tf.where(succeeded, lower, tf.maximum(lower, const))
            upper = tf.where(succeeded, tf.minimum(upper, const), upper)
            const = tf.where(upper < _NO_BOUND, (lower + upper) / 2.0, const * 10.0)
        return best
