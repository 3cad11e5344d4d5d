"""Copies of a model in another precision."""

from typing import Any

import keras


def in_precision(model: keras.Model, precision: str, **changes: Any) -> Any:
    """A copy of `model` with the same weights that computes in `precision`, a Keras dtype policy.

    Args:
        changes: further entries of the configuration; a frozen model's says that it is frozen, so
            `trainable=True` for a copy that is to learn.
    """
    copy = type(model).from_config({**model.get_config(), "dtype": precision, **changes})
    copy.set_weights(model.get_weights())
    return copy
