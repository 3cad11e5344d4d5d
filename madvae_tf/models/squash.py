"""A learnt pointwise squash: what stands before the encoder of the purifier `robust`.

    s(x) = sigmoid(k (x - b)),    k > 0

On images that are nearly black and white it flattens what a bounded change does near 0 and near 1
and keeps the step between them, as a soft binarization whose steepness k and threshold b are
trained with everything else. It is monotone, so it loses no information, and its gradient k s (1 -
s) is never 0: an attacker can go through it.
"""

import keras
import tensorflow as tf

from madvae_tf.utils.errors import UserError

# Below it log(exp(k) - 1) would need more than float32 has.
_LEAST_SCALE = 1e-3
# exp of it is finite in float32, and so is the gradient of what is made of it.
_LARGEST_EXPONENT = 80.0


@keras.saving.register_keras_serializable("madvae_tf")
class Squash(keras.layers.Layer):
    """sigmoid(k (x - b)) of every value of any shape, with trainable scalars k and b; float32 in
    and out.

    k = softplus(r) of the variable r, so that it stays positive; from about 3 on, a step of r is a
    step of k.

    Args:
        scale: k at the start, above 0.
        center: b at the start.
    """

    def __init__(self, scale: float = 10.0, center: float = 0.5, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        if not scale >= _LEAST_SCALE:
            raise UserError(
                f"Invalid scale: received {scale!r}, expected a number >= {_LEAST_SCALE}."
            )
        self.initial_scale = scale
        self.initial_center = center
        # softplus(r) = k; written so that a large k does not overflow.
        raw = scale + float(tf.math.log(-tf.math.expm1(tf.constant(-scale, tf.float64))))
        self.raw_scale = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(raw), autocast=False, name="raw_scale"
        )
        self.center = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(center), autocast=False, name="center"
        )
        self.built = True

    @property
    def scale(self) -> tf.Tensor:
        """k, float32 ()."""
        return tf.nn.softplus(tf.convert_to_tensor(self.raw_scale))

    def call(self, inputs):
        falling = self.scale * (tf.convert_to_tensor(self.center) - inputs)
        # Not tf.sigmoid, whose gradient is s (1 - s) as float32 has it: 0 where s rounds to 1, at
        # white pixels from k = 34 on. This one's is s^2 exp(-k (x - b)).
        return 1.0 / (1.0 + tf.exp(tf.minimum(falling, _LARGEST_EXPONENT)))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "scale": self.initial_scale, "center": self.initial_center}
