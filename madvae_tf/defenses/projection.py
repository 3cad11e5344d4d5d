"""Projection of an image on the range of a generator (Samangouei et al. 2018, section 4).

    z* = arg min over z of |G(z) - x|^2 / pixels

by L steps of gradient descent with momentum from each of R random starts; the best of the R ends is
kept. An image's result depends on no other image: the starts are the same for all, and the loss of
a batch is the sum of its images' losses.
"""

from collections.abc import Callable

import tensorflow as tf

# The learning rate falls to a tenth after this share of the steps, as in the authors' code.
_DROP_AT, _DROP_TO = 0.8, 0.1


def starts(
    latent_size: int, restarts: int, seed: int, centers: tf.Tensor | None, spreads: tf.Tensor | None
) -> tf.Tensor:
    """The R starts, float32 (restarts, latent): N(0, I), or around the class centres in turn.

    Args:
        centers: float32 (classes, latent), or None.
        spreads: float32 (classes,), standard deviations around the centres; with `centers` only.
    """
    noise = tf.random.stateless_normal((restarts, latent_size), (seed, restarts), alg="philox")
    if centers is None or spreads is None:
        return noise
    label = tf.range(restarts) % tf.shape(centers)[0]
    return tf.gather(centers, label) + tf.gather(spreads, label)[:, None] * noise


def project(
    generator: Callable[[tf.Tensor], tf.Tensor],
    images: tf.Tensor,
    first: tf.Tensor,
    steps: int,
    learning_rate: float = 10.0,
    momentum: float = 0.7,
) -> tuple[tf.Tensor, tf.Tensor]:
    """The nearest generated images and their latents.

    Args:
        generator: latents float32 (batch, latent) -> images float32 (batch, height, width,
            channels).
        images: float32 (batch, height, width, channels) in [0, 1].
        first: float32 (restarts, latent), from `starts`.
        steps: L, at least 1.
        learning_rate: of the loss above, whose gradient is small: it is a mean over pixels.

    Returns:
        G(z*) float32 (batch, height, width, channels), and z* float32 (batch, latent).
    """
    restarts, batch = tf.shape(first)[0], tf.shape(images)[0]
    drop = int(_DROP_AT * steps)

    def errors(made: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.square(made - wanted), axis=(1, 2, 3))

    def search(z: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        def descend(step: tf.Tensor, z: tf.Tensor, velocity: tf.Tensor):
            with tf.GradientTape() as tape:
                tape.watch(z)
                loss = tf.reduce_sum(errors(generator(z), wanted))
            velocity = momentum * velocity + tf.convert_to_tensor(tape.gradient(loss, z))
            rate = learning_rate * tf.where(step < drop, 1.0, _DROP_TO)
            return step + 1, z - rate * velocity, velocity

        loop = (tf.constant(0), z, tf.zeros_like(z))
        return tf.while_loop(
            lambda step, *_: step < steps, descend, loop, maximum_iterations=steps
        )[1]

    # Which start is best does not change with the image but in jumps: the gradient is that of the
    # best one's search, which is made once more, so that an attack need not go back through all of
    # them.
    every = tf.stop_gradient(tf.repeat(images, restarts, axis=0))
    ends = search(tf.tile(first, tf.stack([batch, 1])), every)
    found = tf.reshape(errors(generator(ends), every), (batch, restarts))
    z = search(tf.gather(first, tf.argmin(found, axis=1)), images)
    return generator(z), z
