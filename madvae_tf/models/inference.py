"""Keras models and layers called for inference: dropout, augmentation and batch normalisation as in
`predict`.
"""

from typing import Any

import keras


def for_inference(model: Any, inputs: Any) -> Any:
    """The answer of a model, a layer or a function; Keras' own are called with `training=False`,
    which reaches every layer within.

    Keras takes the argument off where a `call` does not have it, and passes it on to what is called
    inside; without it layers such as RandomRotation work as in training.
    """
    return model(inputs, training=False) if isinstance(model, keras.layers.Layer) else model(inputs)
