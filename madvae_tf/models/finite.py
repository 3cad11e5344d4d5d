"""Whether a model's weights are finite: one that diverged answers, with NaN or the same for every
image.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.utils.errors import UserError


def all_finite(weights: Sequence[Any]) -> bool:
    """Whether every floating-point weight is finite."""
    tensors = [tf.convert_to_tensor(weight) for weight in weights]
    finite = [tf.reduce_all(tf.math.is_finite(t)) for t in tensors if t.dtype.is_floating]
    return bool(tf.reduce_all(finite))


def check_finite(model: keras.Model, what: str) -> None:
    """Raises `UserError` where a weight of `model`, called `what`, is NaN or infinite."""
    if not all_finite(model.weights):
        raise UserError(
            f"Invalid {what}: received weights that are NaN or infinite, expected finite ones: its"
            " training diverged; train again with a smaller learning_rate."
        )
