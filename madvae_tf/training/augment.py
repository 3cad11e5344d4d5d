"""Augmentation: small random shifts and mirror images, drawn from a seed."""

import tensorflow as tf

from madvae_tf.training.replicas import replica_part


def random_shift(images: tf.Tensor, max_shift: int, seed: tf.Tensor) -> tf.Tensor:
    """Each image moved by up to `max_shift` pixels along both axes, zeros moving in; the same
    shape.
    """
    if max_shift == 0:
        return images
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    offsets = replica_part(
        lambda size: tf.random.stateless_uniform(
            tf.stack([size, 2]), seed, 0, 2 * max_shift + 1, tf.int32, alg="philox"
        ),
        batch,
    )
    margin = [max_shift, max_shift]
    padded = tf.pad(images, [[0, 0], margin, margin, [0, 0]])
    rows = tf.gather(padded, offsets[:, :1] + tf.range(height)[None, :], axis=1, batch_dims=1)
    return tf.gather(rows, offsets[:, 1:] + tf.range(width)[None, :], axis=2, batch_dims=1)


def random_flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Each image, with probability 1/2, mirrored left to right; the same shape."""
    chosen = replica_part(
        lambda size: tf.random.stateless_uniform(
            tf.stack([size]), seed, 0, 2, tf.int32, alg="philox"
        ),
        tf.shape(images)[0],
    )
    return tf.where(tf.reshape(chosen == 1, (-1, 1, 1, 1)), tf.reverse(images, [2]), images)
