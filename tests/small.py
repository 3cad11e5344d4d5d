"""Networks for tests of what trains, saves and attacks a model: the interfaces of Table 5's and
Table 6's, and next to nothing to trace.
"""

import keras
import tensorflow as tf

from madvae_tf.models.convolutions import Conv2D, Conv2DTranspose
from madvae_tf.models.layers import BatchNormalization
from madvae_tf.models.squash import Squash
from madvae_tf.models.vae import DefenseVAE


@keras.saving.register_keras_serializable("madvae_tf_tests")
class SmallVAE(DefenseVAE):
    """`DefenseVAE` with one convolution and one batch normalisation on each side; 28 x 28 x 1."""

    def __init__(
        self,
        latent_size=128,
        latent_scale="log_variance",
        initial_deviation=0.0,
        squash_scale=0.0,
        squash_center=0.5,
        image_shape=(28, 28, 1),
        encoder="table5",
        width=1.0,
        halvings=None,
        **kwargs,
    ):
        keras.Model.__init__(self, **kwargs)  # Not DefenseVAE's own, which builds Table 5.
        assert tuple(image_shape) == (28, 28, 1)
        self.latent_size, self.image_shape = latent_size, (28, 28, 1)
        self.latent_scale, self.initial_deviation = latent_scale, initial_deviation
        self.squash_scale, self.squash_center = squash_scale, squash_center
        self.encoder_name = encoder
        self.width, self.halvings = width, halvings or (3, 3)
        policy = self.dtype_policy
        self.encoder = keras.Sequential(
            [
                keras.Input(self.image_shape),
                Conv2D(8, 7, 7, padding="same", use_bias=False, dtype=policy),
                BatchNormalization(dtype=policy),
                keras.layers.ReLU(dtype=policy),
                keras.layers.Flatten(dtype=policy),
            ],
            name="encoder",
        )
        self.mean_head = keras.layers.Dense(latent_size, dtype=policy, name="mean")
        self.log_variance_head = keras.layers.Dense(latent_size, dtype=policy, name="log_variance")
        self.decoder = keras.Sequential(
            [
                keras.Input((latent_size,)),
                keras.layers.Dense(128, dtype=policy),
                keras.layers.Reshape((2, 2, 32), dtype=policy),
                Conv2DTranspose(8, 2, 2, padding="same", use_bias=False, dtype=policy),
                BatchNormalization(dtype=policy),
                keras.layers.ReLU(dtype=policy),
                Conv2DTranspose(1, 7, 7, padding="same", dtype=policy),
            ],
            name="decoder",
        )
        self.squash = Squash(squash_scale, squash_center, dtype="float32") if squash_scale else None
        for head in (self.mean_head, self.log_variance_head):
            head.build((None, 128))
        self.built = True


@keras.saving.register_keras_serializable("madvae_tf_tests")
class SmallClassifier(keras.Model):
    """One dense layer: all that may be asked of a classifier."""

    def __init__(self, dropout=0.0, image_shape=(28, 28, 1), **kwargs):
        super().__init__(**kwargs)
        assert tuple(image_shape) == (28, 28, 1)
        self.dropout, self.image_shape = dropout, image_shape
        self.dense = keras.layers.Dense(10, dtype=self.dtype_policy)
        self.dense.build((None, 784))
        self.built = True

    def call(self, inputs, training=False):
        return self.logits(inputs)

    def logits(self, images, dropout_seed=None):
        flat = tf.reshape(images, (-1, 784))
        if dropout_seed is not None and self.dropout > 0:
            flat = tf.nn.experimental.stateless_dropout(
                flat, self.dropout, dropout_seed, rng_alg="philox"
            )
        return tf.cast(self.dense(flat), tf.float32)

    def get_config(self):
        return {**super().get_config(), "dropout": self.dropout}
