"""Generator and critic of Defense-GAN on MNIST (Samangouei et al. 2018, appendix; the shape of
DCGAN).

    generator  z -> FC(4 x 4 x 4w) -> ConvT(2w, 5, 2) -> ConvT(w, 5, 2) -> ConvT(1, 5, 2) -> sigmoid
               sides 4, 7, 14, 28
    critic     x -> Conv(w, 5, 2) -> Conv(2w, 5, 2) -> Conv(4w, 5, 2) -> FC(1)
               sides 28, 14, 7, 4

Images of another side are halved in the same way, rounded up: 32, 16, 8, 4.

Neither holds batch normalisation: in the critic the gradient penalty, which is each image's own,
forbids it, and a generator without it is the same function in training and in projection.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.utils.images import IMAGE_SHAPE, Shape, as_shape, shape_entry

# The logit of the mean grey of MNIST, 0.13: the generator starts from dark images rather than from
# grey ones.
_DARK = -2.0


@keras.saving.register_keras_serializable("madvae_tf")
class LeakyReLU(keras.layers.Layer):
    """max(x, 0.2 x). The stock layer's operation, differentiated twice, fails in TensorFlow's graph
    optimizer.
    """

    def call(self, inputs):
        return tf.maximum(inputs, 0.2 * inputs)


@keras.saving.register_keras_serializable("madvae_tf")
class Generator(keras.Model):
    """Latents float32 (batch, latent) -> images float32 (batch, height, width, channels) in [0, 1].

    Args:
        latent_size: dimensions of z, at least 1.
        width: channels of the last hidden layer; the first ones have 4 and 2 times as many.
        image_shape: (height, width, channels) of the images.
        dtype: a Keras dtype policy, float32 by default, whatever Keras' global one is; images are
            float32 under "mixed_bfloat16" too.
    """

    def __init__(
        self, latent_size: int = 128, width: int = 64, image_shape: Shape = IMAGE_SHAPE, **kwargs
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.latent_size = latent_size
        self.width = width
        self.image_shape = as_shape(image_shape)
        policy = self.dtype_policy
        # (height, width) of each map.
        sides = [
            tuple(-(-side // factor) for side in self.image_shape[:2]) for factor in (8, 4, 2, 1)
        ]

        def up(place: int, channels: int, activation: Any = "relu", bias: Any = "zeros"):
            return keras.layers.Conv2DTranspose(
                channels,
                5,
                strides=2,
                padding="same",
                # 4 x 4 to 7 x 7 at once, rather than to 8 x 8 and a crop.
                output_padding=tuple(
                    larger - 2 * side + 1
                    for side, larger in zip(sides[place], sides[place + 1], strict=True)
                ),
                activation=activation,
                kernel_initializer="he_uniform",
                bias_initializer=bias,
                dtype=policy,
            )

        self.layers_in_order = keras.Sequential(
            [
                keras.Input((latent_size,), dtype="float32"),
                keras.layers.Dense(
                    math.prod(sides[0]) * 4 * width,
                    activation="relu",
                    kernel_initializer="he_uniform",
                    dtype=policy,
                ),
                keras.layers.Reshape((*sides[0], 4 * width), dtype=policy),
                up(0, 2 * width),
                up(1, width),
                up(
                    2, self.image_shape[2], activation=None, bias=keras.initializers.Constant(_DARK)
                ),
            ],
            name="layers",
        )
        self.built = True

    def call(self, inputs, training=False):
        return tf.sigmoid(tf.cast(self.layers_in_order(inputs), tf.float32))

    def get_config(self):
        own = {"latent_size": self.latent_size, "width": self.width}
        return {**super().get_config(), **own, **shape_entry(self.image_shape)}


@keras.saving.register_keras_serializable("madvae_tf")
class Critic(keras.Model):
    """Images float32 (batch, height, width, channels) -> scores float32 (batch,), high for real
    ones; each image's is its own.

    Args:
        width: channels of the first layer; the following have 2 and 4 times as many.
        image_shape: (height, width, channels) of the images.
        dtype: a Keras dtype policy, float32 by default, whatever Keras' global one is; scores are
            float32 under "mixed_bfloat16" too.
    """

    def __init__(self, width: int = 64, image_shape: Shape = IMAGE_SHAPE, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.width = width
        self.image_shape = as_shape(image_shape)
        policy = self.dtype_policy
        convolutions = [
            layer
            for channels in (width, 2 * width, 4 * width)
            for layer in (
                keras.layers.Conv2D(
                    channels,
                    5,
                    strides=2,
                    padding="same",
                    kernel_initializer="he_uniform",
                    dtype=policy,
                ),
                LeakyReLU(dtype=policy),
            )
        ]
        self.layers_in_order = keras.Sequential(
            [
                keras.Input(self.image_shape, dtype="float32"),
                *convolutions,
                keras.layers.Flatten(dtype=policy),
                keras.layers.Dense(1, dtype=policy),
            ],
            name="layers",
        )
        self.built = True

    def call(self, inputs, training=False):
        return tf.cast(self.layers_in_order(inputs), tf.float32)[:, 0]

    def get_config(self):
        return {**super().get_config(), "width": self.width, **shape_entry(self.image_shape)}
