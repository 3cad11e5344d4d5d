"""Adam by TensorFlow's fused kernel: one pass over a variable where the stock optimizer makes a
dozen.
"""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("madvae_tf")
class FusedAdam(keras.optimizers.Adam):
    """`keras.optimizers.Adam` (Kingma & Ba 2015, with epsilon outside the root's bias correction),
    the same numbers to a rounding.

    State, schedule and checkpoints are the stock optimizer's. A variable that is not float32, and
    AMSGrad, take its own way.
    """

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or variable.dtype != "float32" or isinstance(gradient, tf.IndexedSlices):
            super().update_step(gradient, variable, learning_rate)
            return
        step = tf.cast(tf.convert_to_tensor(self.iterations), tf.float32) + 1.0
        place = self._get_variable_index(variable)
        tf.raw_ops.ResourceApplyAdam(
            var=_resource(variable),
            m=_resource(self._momentums[place]),
            v=_resource(self._velocities[place]),
            beta1_power=tf.pow(self.beta_1, step),
            beta2_power=tf.pow(self.beta_2, step),
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, tf.float32),
            use_locking=False,
        )


def _resource(variable: Any) -> tf.Tensor:
    """The handle of a TensorFlow variable, or of the one inside a Keras variable."""
    inner = variable.value if isinstance(variable, keras.Variable) else variable
    return inner.handle
