"""Projection of images onto what a generator can draw (Samangouei et al. 2018, section 4, equation 4).

    z* = argmin_z ||G(z) - x||^2,    purified x = G(z*)

by `steps` steps of gradient descent with momentum from each of `restarts` random starts, of which the best one counts.
As in Defense-GAN's code the norm is the mean over pixels, momentum is 0.7, and the learning rate falls to a tenth after 80% of
the steps.

What descends is the noise n of z = c + s n, which for a generator of latents N(0, I), with c = 0 and s = 1, is z itself. A
generator of a mixture starts its restarts at the components in turn, and each component sees steps of its own scale.
"""

import dataclasses
from collections.abc import Callable, Sequence

import tensorflow as tf

from madvae_tf.errors import UserError

_DECAY_AT, _DECAY = 0.8, 0.1


@dataclasses.dataclass(frozen=True)
class Descent:
    """How `project` descends: Defense-GAN's settings for MNIST.

    Attributes:
        steps: gradient steps, L.
        restarts: random starts, R.
        learning_rate: of the first 80% of the steps; a tenth of it after them.
        momentum: in [0, 1).
    """

    steps: int = 200
    restarts: int = 10
    learning_rate: float = 10.0
    momentum: float = 0.7


def project(
    generator: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    latent_size: int,
    descent: Descent,
    seed: Sequence[int],
    centers: tf.Tensor | None = None,
    spreads: tf.Tensor | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The nearest images that `generator` draws, and their latents; eager or inside a `tf.function`.

    Every image has the same starts and descends by itself, so that its result does not depend on its batch.

    Args:
        generator: latents float32 (n, latent) -> images float32 (n, 28, 28, 1); keep one object, compiled once.
        images: float32 (batch, 28, 28, 1); the batch may be unknown.
        latent_size: dimensions of z.
        descent: steps, restarts, learning rate and momentum.
        seed: two ints, of the starts.
        centers: float32 (classes, latent): restart r starts around the centre r mod classes; without it around 0.
        spreads: float32 (classes,), how far around each centre; 1 where there are none.

    Returns:
        purified: float32 (batch, 28, 28, 1).
        z: float32 (batch, latent), with generator(z) = purified.

    Raises:
        UserError: fewer restarts than one, or steps than none.
    """
    if descent.restarts < 1 or descent.steps < 0:
        raise UserError(f"Invalid descent: received {descent}, expected restarts >= 1 and steps >= 0.")
    start = tf.random.stateless_normal((descent.restarts, latent_size), seed, alg="philox")
    offset, scale = tf.zeros_like(start), tf.ones((descent.restarts, 1))
    if centers is not None:
        component = tf.range(descent.restarts) % tf.shape(centers)[0]
        offset = tf.gather(centers, component)
        scale = scale if spreads is None else tf.gather(spreads, component)[:, None]
    return _descend(
        generator,
        images,
        start,
        offset,
        scale,
        tf.constant(descent.steps),
        tf.constant(descent.learning_rate),
        tf.constant(descent.momentum),
    )


@tf.function(reduce_retracing=True)
def _descend(
    generator: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    start: tf.Tensor,
    offset: tf.Tensor,
    scale: tf.Tensor,
    steps: tf.Tensor,
    learning_rate: tf.Tensor,
    momentum: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """All restarts of all images at once; `start` and `offset` (restarts, latent), `scale` (restarts, 1)."""
    batch, restarts = tf.shape(images)[0], tf.shape(start)[0]
    targets = tf.repeat(images, restarts, axis=0)
    start, offset, scale = (tf.tile(values, [batch, 1]) for values in (start, offset, scale))
    # At least one step before the fall, however few there are.
    fall = tf.maximum(tf.cast(_DECAY_AT * tf.cast(steps, tf.float32), tf.int32), 1)

    def errors(noise: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.square(generator(offset + scale * noise) - targets), axis=(1, 2, 3))

    def step(number: tf.Tensor, noise: tf.Tensor, velocity: tf.Tensor) -> tuple[tf.Tensor, ...]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(noise)
            # The sum over images: a mean would make the steps of each smaller in a larger batch.
            loss = tf.reduce_sum(errors(noise))
        velocity = momentum * velocity + tape.gradient(loss, noise)
        rate = learning_rate * tf.where(number < fall, 1.0, _DECAY)
        return number + 1, noise - rate * velocity, velocity

    _, noise, _ = tf.while_loop(
        lambda number, *_: number < steps, step, (tf.constant(0), start, tf.zeros_like(start))
    )
    best = tf.argmin(tf.reshape(errors(noise), [batch, restarts]), axis=1, output_type=tf.int32)
    z = tf.gather(offset + scale * noise, tf.range(batch) * restarts + best)
    return generator(z), z
