"""What an attack maximises, from the logits z, the true label y and, if targeted, a goal class t.

    cross_entropy    -log softmax(z)_y
    margin           max_{j != y} z_j - z_y                          Carlini & Wagner 2017
    margin_capped    min(margin, 0.1)
    dlr              (max_{j != y} z_j - z_y) / (z_(1) - z_(3))      Croce & Hein 2020, eq. 6
    dlr_targeted     (z_t - z_y) / (z_(1) - (z_(3) + z_(4)) / 2)     eq. 7
    margin_targeted  z_t - z_y

and any of them plus weight times a score of the image. Of a system with a purifier that is the
joint loss, with ||purify(x) - x||_2: a positive weight drives the purifier away from what it is
given. A negative weight evades a detector that watches the score; where the margin is capped, an
image that fools has nothing to gain but a lower one.

z_(k) is the k-th largest logit. The difference-of-logits ratio does not change when the logits are
shifted or scaled, so that no defence can hide its gradient by making the logits large. It needs
three classes, its targeted form four: `LEAST_CLASSES`, and what stands in its place. An attack on
the cross-entropy alone ascends `log_odds`, for the same reason.
"""

import functools
from collections.abc import Callable

import tensorflow as tf

from madvae_tf.models.defended_model import Function

_TINY = 1e-12
_CAP = 0.1
Objective = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
# Images -> logits, and a score (batch,).
Scored = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
# What gives logits and a score, and the score's weight in the objective; None: the target's logits
# are all.
Joint = tuple[Scored | None, float]


def _is_class(z: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    return tf.one_hot(classes, z.shape[-1], on_value=True, off_value=False)


def _at(z: tf.Tensor, classes: tf.Tensor) -> tf.Tensor:
    # The gradient of `tf.gather` would be a dozen small operations more.
    return tf.reduce_sum(tf.where(_is_class(z, classes), z, 0), axis=1)


def _others(z: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    return tf.where(_is_class(z, y), z.dtype.min, z)


def cross_entropy(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """The cross-entropy of softmax(z), (batch,)."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(y, z)


def log_odds(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor | None = None) -> tf.Tensor:
    """log((1 - p_y) / p_y) with p = softmax(z): log sum_{j != y} exp(z_j) - z_y, (batch,).

    The cross-entropy is log(1 + exp(log_odds)), which rises with it. Both have the same order of
    images and the same direction of the gradient, so an attack that follows signs or directions
    takes the same steps along either. But the cross-entropy's gradient has the factor 1 - p_y,
    which is a rounding error where the classifier is very sure, and then 0; this one has no such
    factor, and its largest part is always 1.
    """
    return tf.reduce_logsumexp(_others(z, y), axis=1) - _at(z, y)


def log_odds_in_float64(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor | None = None) -> tf.Tensor:
    """`log_odds` of float32 logits in float64, (batch,): nothing rounds to the same."""
    return log_odds(tf.cast(z, tf.float64), y)


def margin(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """The largest other logit less the true class's, (batch,): above 0 where the image fools."""
    return tf.reduce_max(_others(z, y), axis=1) - _at(z, y)


def margin_capped(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """`margin`, no more than a little above 0: what fools already is not climbed further."""
    return tf.minimum(margin(z, y, goal), _CAP)


def dlr(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """Difference of logits ratio (Croce & Hein 2020, section 4), (batch,)."""
    top = tf.math.top_k(z, 3).values
    return margin(z, y, goal) / (top[:, 0] - top[:, 2] + _TINY)


def dlr_targeted(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """`dlr` towards the class `goal` (Croce & Hein 2020, appendix), (batch,)."""
    top = tf.math.top_k(z, 4).values
    return margin_targeted(z, y, goal) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + _TINY)


def margin_targeted(z: tf.Tensor, y: tf.Tensor, goal: tf.Tensor) -> tf.Tensor:
    """The logit of the class `goal` less the true class's, (batch,)."""
    return _at(z, goal) - _at(z, y)


def misclassified(z: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
    """Whether the largest logit is not the true label's, bool (batch,)."""
    return tf.not_equal(tf.argmax(z, axis=1), y)


OBJECTIVES: dict[str, Objective] = {
    function.__name__: function
    for function in (cross_entropy, margin, margin_capped, dlr, dlr_targeted, margin_targeted)
}
TARGETED = ("dlr_targeted", "margin_targeted")
# A loss that is not defined for few classes -> the least number of them, and what then stands in
# its place.
LEAST_CLASSES = {"dlr": (3, "margin"), "dlr_targeted": (4, "margin_targeted")}


def goal_class(z: tf.Tensor, y: tf.Tensor, rank: tf.Tensor) -> tf.Tensor:
    """The wrong class with the rank-th largest logit (from 0), int64 (batch,); after the last one
    the first comes again.
    """
    ranked = tf.argsort(_others(z, y), axis=1, direction="DESCENDING")
    return tf.cast(ranked[:, tf.math.floormod(rank, tf.shape(z)[1] - 1)], tf.int64)


def distance(purified: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """||purified - x||_2 of each image, (batch,); its gradient is finite where it is 0."""
    return tf.sqrt(tf.reduce_sum(tf.square(purified - x), axis=[1, 2, 3]) + _TINY)


# No sum of gradients below has more than two terms, hence the identities: TensorFlow gives a longer
# one a temporary variable, whose name two calls at once have in common (AlreadyExistsError).
# Compiled attacks are cached by what these functions return, hence the caches.


@functools.lru_cache(maxsize=32)
def beside(logits: Function, score: Function) -> Scored:
    """Logits and a score, each of the images on its own."""
    return lambda x: (logits(tf.identity(x)), score(tf.identity(x)))


@functools.lru_cache(maxsize=32)
def with_reconstruction(
    logits: Function, purify: Function, classify: Function | None = None
) -> Scored:
    """Logits and the score ||purify(x) - x||_2.

    Args:
        classify: where logits(x) = classify(purify(x)): it purifies once then.
    """
    if classify is None:
        return beside(logits, lambda x: distance(purify(tf.identity(x)), x))

    def look(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        purified = purify(tf.identity(x))
        return classify(purified), distance(purified, x)

    return look


def ascent(
    logits: Function,
    loss: str | Objective,
    x: tf.Tensor,
    y: tf.Tensor,
    goal: tf.Tensor,
    scored: Scored | None = None,
    weight: tf.Tensor | float = 0.0,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """One look at the target.

    Args:
        loss: a row of `OBJECTIVES`, or a function like those.
        scored, weight: asked in the place of `logits`, and weight times the score is added to the
            loss; None: the objective is `loss` alone.

    Returns:
        the objective (batch,), of the cross-entropy alone its `log_odds`; its gradient at x (zeros
        where the target passes none on), and whether x is misclassified (batch,).
    """
    objective = OBJECTIVES[loss] if isinstance(loss, str) else loss
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x)
        if scored is None:
            z = logits(x)
            value = (log_odds if loss == "cross_entropy" else objective)(z, y, goal)
        else:
            z, score = scored(x)
            value = objective(z, y, goal) + weight * score
    gradient = tape.gradient(value, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return value, tf.convert_to_tensor(gradient), misclassified(z, y)
