"""Files of a trained defence: models without pickles."""

from pathlib import Path
from typing import Any

import keras

# Their classes must be registered before a file is read.
import madvae_tf.models.classifiers
import madvae_tf.models.vae  # noqa: F401
from madvae_tf.models.copies import in_precision
from madvae_tf.utils.files import written


def load_keras(path: Path) -> Any:
    """The frozen model of a `.keras` file of this project."""
    model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    model.trainable = False
    return model


def save_float32(model: keras.Model, path: Path) -> keras.Model:
    """Writes a float32 copy of `model` to the `.keras` file `path`, whole or not at all; returns
    the copy, frozen.
    """
    copy = in_precision(model, "float32")
    copy.trainable = False
    with written(path) as partial:
        copy.save(partial)
    return copy
