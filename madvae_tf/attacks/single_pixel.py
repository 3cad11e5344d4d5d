"""The single-pixel attack of Narodytska & Kasiviswanathan (2017), Algorithm 1.

Up to `max_pixels` pixels of an image are drawn at random; each, in the order drawn, is set to 0 and
then to 1, the others staying as they are. The first image that is misclassified wins; where none
is, the original comes back. The exhaustive mode tries all 784 pixels in scan order, row by row: the
attack's strongest form. A pixel of a colour image is its three channels, which become 0 or 1
together: black or white.
"""

import dataclasses
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Attack, Seed, predict
from madvae_tf.attacks.compiled import per_target
from madvae_tf.attacks.objectives import misclassified
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel, Function
from madvae_tf.utils.images import SIDES, shape_of

_MOST = SIDES[-1] ** 2


@per_target
def _first_misclassified(
    logits: Function, x: tf.Tensor, y: tf.Tensor, pixels: tf.Tensor, done: tf.Tensor
) -> tf.Tensor:
    """Tries each image's pixels (batch, count) in order, one candidate of every image at a time.

    A candidate equal to the original cannot win, so each image's list is closed up over these: on
    MNIST that leaves three fifths of the candidates.
    """
    height, width, channels = shape_of(x)
    count = height * width
    flat = tf.reshape(x, (-1, count, channels))
    candidates = tf.repeat(pixels, 2, axis=1)
    values = tf.tile(tf.constant([[0.0, 1.0]]), tf.shape(pixels))
    changes = tf.reduce_any(
        tf.not_equal(tf.gather(flat, candidates, batch_dims=1), values[:, :, None]), axis=2
    )
    order = tf.argsort(tf.cast(changes, tf.int32), axis=1, direction="DESCENDING", stable=True)
    candidates, values, changes = (
        tf.gather(part, order, batch_dims=1) for part in (candidates, values, changes)
    )
    longest = tf.reduce_max(tf.reduce_sum(tf.cast(changes, tf.int32), axis=1))

    def step(
        index: tf.Tensor, best: tf.Tensor, done: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        here = tf.one_hot(candidates[:, index], count, on_value=True, off_value=False)
        candidate = tf.where(here[..., None], values[:, index, None, None], flat)
        fools = misclassified(logits(tf.reshape(candidate, tf.shape(x))), y)
        wins = fools & changes[:, index] & tf.logical_not(done)
        return index + 1, tf.where(wins[:, None, None], candidate, best), done | wins

    _, best, _ = tf.while_loop(
        lambda index, best, done: (index < longest) & tf.logical_not(tf.reduce_all(done)),
        step,
        (tf.constant(0), flat, done),
    )
    return tf.reshape(best, tf.shape(x))


@dataclasses.dataclass(frozen=True)
class SinglePixel(Attack):
    """Changes at most one pixel, to 0 or 1; see the module's docstring.

    Attributes:
        max_pixels: how many distinct pixels of each image are tried, unless `exhaustive`; all,
            where it has no more.
        exhaustive: try them all, in scan order; nothing is then drawn.
    """

    name: ClassVar[str] = "single_pixel"
    max_pixels: int = parameter(100, minimum=1, maximum=_MOST)
    exhaustive: bool = parameter(False)

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        """The first misclassified candidate, or the original; what is wrong as it is stays."""
        height, width, _ = shape_of(x)
        batch, count = len(x), height * width
        if self.exhaustive:
            pixels = tf.tile(tf.range(count)[None], [batch, 1])
        else:
            keys = tf.random.stateless_uniform([batch, count], seed, alg="philox")
            pixels = tf.math.top_k(keys, min(self.max_pixels, count)).indices
        done = tf.not_equal(predict(target.logits, x), y)
        return _first_misclassified(target.logits, x, y, pixels, done)
