"""The autoencoders of MagNet (Meng & Chen 2017, Table 2, MNIST): a few sigmoid convolutions of
three 3 x 3 filters.

    with pooling     conv 3, average pooling 2, conv 3 | conv 3, upsampling 2, conv 3 | conv 1
                     detector I and reformer
    without          conv 3 | conv 3 | conv 1
                     detector II
"""

import keras
import tensorflow as tf

from madvae_tf.models.layers import Crop2D
from madvae_tf.utils.images import IMAGE_SHAPE, Shape, as_shape, shape_entry

_FILTERS = 3


@keras.saving.register_keras_serializable("madvae_tf")
class MagNetAutoencoder(keras.Model):
    """Images float32 (batch, height, width, channels) in [0, 1] -> their reconstruction, the same.

    Args:
        pooling: whether the code has half the resolution.
        image_shape: (height, width, channels) of the images; three channels are reconstructed as
            three.
        dtype: a Keras dtype policy, float32 by default, whatever Keras' global one is; the output
            is float32 under "mixed_bfloat16" too.
    """

    def __init__(self, pooling: bool, image_shape: Shape = IMAGE_SHAPE, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.pooling = pooling
        self.image_shape = as_shape(image_shape)
        policy = self.dtype_policy

        def convolution(filters=_FILTERS):
            return keras.layers.Conv2D(
                filters, 3, padding="same", activation="sigmoid", dtype=policy
            )

        down, up = [convolution()], [convolution()]
        if pooling:
            # An odd side is rounded up on the way in, and cropped again on the way out.
            odd = tuple((0, side % 2) for side in self.image_shape[:2])
            down += [
                keras.layers.AveragePooling2D(2, padding="same", dtype=policy),
                convolution(),
            ]
            up += [
                keras.layers.UpSampling2D(2, dtype=policy),
                *([Crop2D(odd, dtype=policy)] if any(map(any, odd)) else []),
                convolution(),
            ]
        last = convolution(self.image_shape[2])
        self.layers_in_order = keras.Sequential(
            [keras.Input(self.image_shape, dtype="float32"), *down, *up, last]
        )
        self.built = True

    def call(self, inputs):
        return tf.cast(self.layers_in_order(inputs), tf.float32)

    def get_config(self):
        return {**super().get_config(), "pooling": self.pooling, **shape_entry(self.image_shape)}
