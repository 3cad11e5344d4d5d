"""Layers that the models share: a crop with a fast gradient, and batch normalisation by the fused
kernel.

Both give what the stock layers give; benchmarks/layers.py measures why they are here.
"""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("madvae_tf")
class Crop2D(keras.layers.Layer):
    """Takes rows and columns off: (batch, h, w, c) -> (batch, h', w', c).

    A slice's gradient is slow on a CPU; this one's is a padding, which is the same numbers.

    Args:
        pixels: off every side; or ((top, bottom), (left, right)).
    """

    def __init__(self, pixels: Any, **kwargs):
        super().__init__(**kwargs)
        self.pixels = pixels

    @property
    def _margins(self) -> tuple[Any, Any]:
        if isinstance(self.pixels, int):
            return (self.pixels, self.pixels), (self.pixels, self.pixels)
        return self.pixels

    def call(self, inputs):
        margins = [list(each) for each in self._margins]
        rows, columns = (slice(first, -last or None) for first, last in margins)

        @tf.custom_gradient
        def crop(values):
            return values[:, rows, columns, :], lambda upstream: tf.pad(
                upstream, [[0, 0], *margins, [0, 0]]
            )

        return crop(inputs)

    def compute_output_shape(self, input_shape):
        batch, *sides, channels = input_shape
        inside = (side - sum(each) for side, each in zip(sides, self._margins, strict=True))
        return (batch, *inside, channels)

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
