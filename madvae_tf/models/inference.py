"""Keras models and layers called for inference: dropout, augmentation and batch normalisation as in `predict`."""

import inspect
from typing import Any


def for_inference(layer: Any, inputs: Any) -> Any:
    """The layer's or model's answer with `training=False`, where it takes the argument."""
    frozen = {"training": False} if "training" in inspect.signature(layer.call).parameters else {}
    return layer(inputs, **frozen)
