"""Layers that the models share: a crop with a fast gradient, and batch normalisation by the fused
kernel.

Both give what the stock layers give; benchmarks/layers.py measures why they are here.
"""

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("madvae_tf")
class Crop2D(keras.layers.Layer):
    """Takes `pixels` rows and columns off every side: (batch, h, w, c) -> (batch, h - 2p, w - 2p,
    c).

    A slice's gradient is slow on a CPU; this one's is a padding, which is the same numbers.
    """

    def __init__(self, pixels: int, **kwargs):
        super().__init__(**kwargs)
        self.pixels = pixels

    def call(self, inputs):
        margin = self.pixels
        paddings = [[0, 0], [margin, margin], [margin, margin], [0, 0]]

        @tf.custom_gradient
        def crop(values):
            return values[:, margin:-margin, margin:-margin, :], lambda upstream: tf.pad(
                upstream, paddings
            )

        return crop(inputs)

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (batch, height - 2 * self.pixels, width - 2 * self.pixels, channels)

    def get_config(self):
        return {**super().get_config(), "pixels": self.pixels}


@keras.saving.register_keras_serializable("madvae_tf")
class BatchNormalization(keras.layers.BatchNormalization):
    """`keras.layers.BatchNormalization` of channels-last images, trained by the fused kernel on one
    replica.

    Momentum 0.9 and epsilon 1e-5 are the reference framework's; with Keras' 0.99 the evaluation
    statistics lag for thousands of steps. On several replicas the stock layer's synchronised
    moments are used: the same numbers.
    """

    def __init__(
        self, momentum: float = 0.9, epsilon: float = 1e-5, synchronized: bool = True, **kwargs
    ):
        super().__init__(momentum=momentum, epsilon=epsilon, synchronized=synchronized, **kwargs)

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable) or _replicas() > 1:
            return super().call(inputs, training=training, mask=mask)
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            inputs,
            tf.convert_to_tensor(self.gamma),
            tf.convert_to_tensor(self.beta),
            epsilon=self.epsilon,
        )
        # The kernel returns the unbiased variance; the stock layer's moving variance averages the
        # biased one.
        count = tf.cast(tf.size(inputs) // tf.shape(inputs)[-1], tf.float32)
        variance *= (count - 1.0) / count
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def _replicas() -> int:
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context is not None else 1
