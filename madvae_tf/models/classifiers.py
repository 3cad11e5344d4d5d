"""The classifiers: Table 6, the model under attack, and the registry. All give logits, not
probabilities.
"""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from madvae_tf.models.convolutions import Conv2D
from madvae_tf.models.substitutes import ARCHITECTURES, SubstituteClassifier
from madvae_tf.utils.images import IMAGE_SHAPE, Shape, as_shape, shape_entry
from madvae_tf.utils.labels import PAPER_CLASSES, classes_entry

# 16, less 4 for two convolutions, halved, less 4 again, halved: 1.
_LEAST_UNPADDED = 16


@keras.saving.register_keras_serializable("madvae_tf")
class Table6Classifier(keras.Model):
    """The MagNet classifier of Table 6: images float32 (batch, height, width, channels) in [0, 1]
    -> logits float32 (batch, num_classes).

    Convolutions are unpadded, as in the model that MagNet took; dropout follows the first dense
    layer. Images of another side have the same layers: of 28 pixels 4 are left before the first
    dense layer, of 32 there are 5. Where a side has fewer than 16 pixels, of which nothing would be
    left, the convolutions are padded ("same"): of 8 pixels 2 are left.

    Args:
        dropout: rate in [0, 1), active in training only.
        image_shape: (height, width, channels) of the images.
        num_classes: how many logits there are.
        dtype: a Keras dtype policy, float32 by default, whatever Keras' global one is; the logits
            are float32 under "mixed_bfloat16" too.
    """

    def __init__(
        self,
        dropout: float = 0.5,
        image_shape: Shape = IMAGE_SHAPE,
        num_classes: int = PAPER_CLASSES,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.dropout = dropout
        self.image_shape = as_shape(image_shape)
        self.num_classes = num_classes
        policy = self.dtype_policy

        padding = "valid" if min(self.image_shape[:2]) >= _LEAST_UNPADDED else "same"

        def convolution(channels):
            return Conv2D(channels, 3, padding=padding, activation="relu", dtype=policy)

        self.layers_in_order = keras.Sequential(
            [
                keras.Input(self.image_shape, dtype="float32"),
                *(convolution(32), convolution(32), keras.layers.MaxPooling2D(2, dtype=policy)),
                *(convolution(64), convolution(64), keras.layers.MaxPooling2D(2, dtype=policy)),
                keras.layers.Flatten(dtype=policy),
                keras.layers.Dense(200, activation="relu", dtype=policy),
            ],
            name="features",
        )
        self.hidden = keras.layers.Dense(200, activation="relu", dtype=policy, name="hidden")
        self.output_layer = keras.layers.Dense(num_classes, dtype=policy, name="logits")
        self.hidden.build((None, 200))
        self.output_layer.build((None, 200))
        self.built = True

    def call(self, inputs, training=False):
        return self.logits(inputs)

    def logits(self, images: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Logits of `images`; with `dropout_seed` (int32 (2,)) the stateless dropout of training is
        applied.
        """
        features = self.layers_in_order(images)
        if dropout_seed is not None and self.dropout > 0:
            features = tf.nn.experimental.stateless_dropout(
                features, rate=self.dropout, seed=dropout_seed, rng_alg="philox"
            )
        return tf.cast(self.output_layer(self.hidden(features)), tf.float32)

    def get_config(self):
        own = {**shape_entry(self.image_shape), **classes_entry(self.num_classes)}
        return {**super().get_config(), "dropout": self.dropout, **own}


# Name -> what makes a new one, called with dropout=, image_shape=, num_classes= and dtype=.
CLASSIFIERS: dict[str, Callable[..., keras.Model]] = {
    "table6": Table6Classifier,
    **{
        f"substitute_{letter.lower()}": functools.partial(SubstituteClassifier, letter)
        for letter in ARCHITECTURES
    },
}
