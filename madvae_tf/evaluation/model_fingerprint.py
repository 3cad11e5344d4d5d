"""What tells an attacked model from another one: what it says of the first images, and the way its
gradient points there.
"""

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.objectives import ascent
from madvae_tf.evaluation.graph_check import rounded_type
from madvae_tf.evaluation.oblivious import batched
from madvae_tf.utils.errors import UserError

# Images whose gradients tell two ways to a gradient apart.
_FEW = 4


def reference_logits(attacked: DefendedModel, images: np.ndarray, batch_size: int) -> np.ndarray:
    """What the attacker's model says of the first images, float32 (at most batch_size, classes).

    Args:
        images: float32 (n, height, width, channels) in [0, 1].

    Raises:
        UserError: the model computes in bfloat16 or float16 somewhere.
    """
    model = tf.function(attacked.logits)
    found = batched(model, images[:batch_size], batch_size)
    shape = (batch_size, *images.shape[1:])
    rounded = rounded_type(model.get_concrete_function(tf.TensorSpec(shape, tf.float32)))
    if rounded:
        raise UserError(
            f"Invalid target of an attack: received a model that computes in {rounded}, whose"
            " rounding hides its gradient, so that it looks robust; expected float32 throughout."
            " Attack the same weights in float32 (target=DefendedModel(logits), where logits_fn is"
            " what they are judged by)."
        )
    return found


def reference_gradients(
    attacked: DefendedModel, images: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Gradients of the attacker's margin at the first images, float32 (at most 4, pixels): two ways
    to the gradient of the same logits differ in them.

    Args:
        images, labels: float32 (n, height, width, channels) in [0, 1], and int64 (n,).
    """

    @tf.function
    def gradient(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return ascent(attacked.logits, "margin", x, y, y)[1]

    few = images[:_FEW]
    return gradient(tf.constant(few), tf.constant(labels[:_FEW])).numpy().reshape(len(few), -1)
