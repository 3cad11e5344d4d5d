"""The loop that every attack along a gradient runs, with hooks for all that differs between them.

    g_i     = accumulate(g_{i-1}, gradient of the loss at x_i)
    x_{i+1} = P(x_i + size(i) n(g_i))

n is the steepest ascent of a norm and P the projection: both are the perturbation set's
(`perturbation_sets`). Loss and gradient come from a callable (`objectives.ascent` makes one of a
target's logits), and so may the step size. The random start is the caller's.
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import tensorflow as tf

from madvae_tf.attacks.geometry import spread
from madvae_tf.attacks.perturbation_sets import PerturbationSet

# x -> the loss (batch,), its gradient at x, and whether x is misclassified (batch,).
Loss = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


class _Found(NamedTuple):
    x_best: tf.Tensor  # float32, as the images
    loss_best: tf.Tensor  # float32 (batch,)
    fooled: tf.Tensor  # bool (batch,)


def gradient_ascent(
    loss: Loss,
    perturbations: PerturbationSet,
    start: tf.Tensor,
    iterations: tf.Tensor | int,
    step_size: Any,
    keep: Literal["last", "first", "best"] = "last",
    early: tf.Tensor | bool = True,
    accumulate: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None,
) -> tf.Tensor:
    """Ascend the loss from `start` within the perturbation set.

    It is a loop of the graph, which so does not grow with the steps.

    Args:
        loss: asked once per step.
        perturbations: where x may go, and how a step goes there.
        start: float32 (batch, height, width, channels), in the set.
        iterations: int32 (), steps.
        step_size: in the units of the set's radius, or a function of the step's number, from 0,
            that gives it.
        keep: what comes back. "last": the last iterate. "first": the first that fools, or the last
            one, which the loss has not seen. "best": the one of the largest loss, those that fool
            before the others.
        early: whether an image of "best" ends with its first success; if not, it goes on to the
            largest loss.
        accumulate: what to step along, of what the step before went along (0 in the first) and the
            gradient; by default the set's.

    Returns:
        float32, as `start`.
    """
    accumulate = accumulate or perturbations.accumulate

    def update(found: _Found, x: tf.Tensor, value: tf.Tensor, fools: tf.Tensor) -> _Found:
        if keep == "first":
            better = fools & tf.logical_not(found.fooled)
        else:
            higher = value > found.loss_best
            better = tf.where(found.fooled, fools & tf.logical_not(early) & higher, fools | higher)
        x_best = tf.where(spread(better), x, found.x_best)
        return _Found(x_best, tf.where(better, value, found.loss_best), found.fooled | fools)

    def goes_on(
        index: tf.Tensor, x: tf.Tensor, along: tf.Tensor, found: _Found | tuple
    ) -> tf.Tensor:
        more = index < iterations
        return (
            more & tf.logical_not(early & tf.reduce_all(found.fooled))
            if isinstance(found, _Found)
            else more
        )

    def step(
        index: tf.Tensor, x: tf.Tensor, along: tf.Tensor, found: _Found | tuple
    ) -> tuple[Any, ...]:
        value, gradient, fools = loss(x)
        along = accumulate(along, tf.ensure_shape(gradient, x.shape))
        if isinstance(found, _Found):
            found = update(found, x, value, fools)
        length = step_size(index) if callable(step_size) else step_size
        return index + 1, perturbations.step(x, along, length), along, found

    batch = tf.shape(start)[0]
    nothing = _Found(start, tf.fill([batch], start.dtype.min), tf.zeros([batch], tf.bool))
    _, x, _, found = tf.while_loop(
        goes_on,
        step,
        (tf.constant(0), start, tf.zeros_like(start), () if keep == "last" else nothing),
        parallel_iterations=1,
    )
    if keep == "last":
        return x
    if keep == "first":
        return tf.where(spread(found.fooled), found.x_best, x)
    value, _, fools = loss(x)
    return update(found, x, value, fools).x_best
