"""Files of a trained defence: JSON that appears whole or not at all, and models without pickles."""

import json
from pathlib import Path
from typing import Any

import keras

# Their classes must be registered before a file is read.
import madvae_tf.models.classifiers
import madvae_tf.models.vae  # noqa: F401
from madvae_tf.models.copies import in_precision


def write_json(path: Path, value: Any) -> None:
    """Writes `value` to `path` through a temporary file beside it."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def load_keras(path: Path) -> Any:
    """The frozen model of a `.keras` file of this project."""
    model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    model.trainable = False
    return model


def save_float32(model: keras.Model, path: Path) -> keras.Model:
    """Writes a float32 copy of `model` to the `.keras` file `path`, whole or not at all; returns the copy, frozen."""
    copy = in_precision(model, "float32")
    copy.trainable = False
    partial = path.with_name(f"partial-{path.name}")
    copy.save(partial)
    partial.replace(path)
    return copy
