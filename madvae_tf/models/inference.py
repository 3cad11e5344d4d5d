"""Keras models and layers called for inference: dropout, augmentation and batch normalisation as in
`predict`.
"""

from typing import Any

import keras
import tensorflow as tf


def for_inference(model: Any, inputs: Any) -> Any:
    """The answer of a model, a layer or a function; Keras' own are called with `training=False`,
    which reaches every layer within.

    Keras takes the argument off where a `call` does not have it, and passes it on to what is called
    inside; without it layers such as RandomRotation work as in training.
    """
    return model(inputs, training=False) if isinstance(model, keras.layers.Layer) else model(inputs)


def num_classes_of(classifier: Any, image_shape: tuple[int, int, int]) -> int:
    """How many logits a classifier gives for an image: what it says itself, or what comes out."""
    known = getattr(classifier, "num_classes", 0)
    return known or int(for_inference(classifier, tf.zeros((1, *image_shape))).shape[-1])
