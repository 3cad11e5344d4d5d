"""What a classifier wants done to images before it sees them, as a part of the classifier.

Images, attacks and purifiers of this project live in [0, 1], channels last. A classifier that was
trained on other numbers is wrapped: what it wants stands in front of it, inside of what is
attacked, saved and exported. So `epsilon` stays in the units of the user's images, and gradients
reach them.

What is wanted is said in one of these forms (`preprocessing_of`):

    "0..255", "-1..1"                       the range of the pixels
    (mean, std), {"mean": ..., "std": ...}  (x - mean) / std, numbers or one for each channel
    "channels_first"                        (batch, channels, height, width)
    {"range": "0..255", "mean": ..., "std": ..., "channels_first": True}
                                            several at once; the mean is then in the range's units
    "0..255 mean=103.9,116.8,123.7 std=1 channels_first"
                                            the same as text, for command lines
    a function or a Keras layer             of TensorFlow: what it gives is what the classifier gets
"""

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.models.inference import for_inference
from madvae_tf.utils.errors import UserError

RANGES = {"0..1": (0.0, 1.0), "0..255": (0.0, 255.0), "-1..1": (-1.0, 1.0)}
_KEYS = ("range", "mean", "std", "channels_first")
_FORMS = (
    'one of "0..255", "-1..1" and "channels_first", a pair (mean, std), a dictionary of'
    f" {', '.join(_KEYS)}, a function or a Keras layer"
)


@keras.saving.register_keras_serializable("madvae_tf")
class Preprocessing(keras.layers.Layer):
    """Images float32 (batch, height, width, channels) in [0, 1] -> what a classifier wants.

    Args:
        range: of `RANGES`: what [0, 1] becomes.
        mean, std: subtracted and divided by after that; numbers, or one for each channel; every
            `std` is above 0.
        channels_first: whether the result is (batch, channels, height, width).

    Raises:
        UserError: an unknown range, or means and deviations that are no such numbers.
    """

    def __init__(
        self,
        range: str = "0..1",
        mean: Any = 0.0,
        std: Any = 1.0,
        channels_first: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if range not in RANGES:
            raise UserError(
                f"Invalid preprocessing: received the range {range!r}, expected one of"
                f" {', '.join(RANGES)}."
            )
        self.range, self.channels_first = range, bool(channels_first)
        self.mean, self.std = _numbers("mean", mean), _numbers("std", std)
        if (np.asarray(self.std) <= 0).any():
            raise UserError(
                f"Invalid preprocessing: received std {self.std}, expected numbers above 0."
            )
        low, high = RANGES[range]
        # One product and one sum: (low + (high - low) x - mean) / std.
        self._factor = ((high - low) / np.asarray(self.std)).astype(np.float32)
        self._offset = ((low - np.asarray(self.mean)) / np.asarray(self.std)).astype(np.float32)
        self.built = True

    def check_channels(self, channels: int) -> None:
        """Raises `UserError` unless means and deviations fit images of so many channels."""
        for name in ("mean", "std"):
            found = np.size(getattr(self, name))
            if found not in (1, channels):
                raise UserError(
                    f"Invalid preprocessing: received {found} numbers as {name}, expected one, or"
                    f" one for each channel ({channels})."
                )

    def call(self, inputs: Any) -> Any:
        images = tf.cast(inputs, tf.float32) * self._factor + self._offset
        return tf.transpose(images, [0, 3, 1, 2]) if self.channels_first else images

    def compute_output_shape(self, input_shape: Any) -> tuple[Any, ...]:
        batch, *sides, channels = input_shape
        return (batch, channels, *sides) if self.channels_first else tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _KEYS}}


@keras.saving.register_keras_serializable("madvae_tf")
class PreprocessedClassifier(keras.Model):
    """A Keras classifier behind its preprocessing: images in [0, 1] -> what the classifier gives.

    Args:
        classifier: a Keras model or layer; nothing of it is changed.
        preprocessing: a Keras layer.
    """

    def __init__(self, classifier: Any, preprocessing: Any, **kwargs: Any):
        super().__init__(**{"name": f"preprocessed_{classifier.name}", **kwargs})
        self.classifier = classifier
        self.preprocessing = preprocessing
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        del training  # The classifier is frozen.
        return for_inference(self.classifier, for_inference(self.preprocessing, inputs))

    def get_config(self) -> dict[str, Any]:
        parts = {"classifier": self.classifier, "preprocessing": self.preprocessing}
        saved = {name: keras.saving.serialize_keras_object(part) for name, part in parts.items()}
        return {"name": self.name, **saved}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> "PreprocessedClassifier":
        parts = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects)
            for name in ("classifier", "preprocessing")
        }
        return cls(**{**config, **parts})


def preprocessing_of(value: Any) -> Callable[..., Any] | None:
    """What is said in one of the module docstring's forms, as a layer or a function; None for None.

    Raises:
        UserError: it is none of these.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if callable(value):
        return value
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, Mapping):
        if unknown := [name for name in value if name not in _KEYS]:
            raise UserError(
                f"Invalid preprocessing: received the entry {unknown[0]!r}, expected"
                f" {', '.join(_KEYS)}."
            )
        return Preprocessing(**value)
    if isinstance(value, tuple | list) and len(value) == 2:
        return Preprocessing(mean=value[0], std=value[1])
    raise UserError(f"Invalid preprocessing: received {value!r}, expected {_FORMS}.")


def _of_text(text: str) -> Preprocessing:
    settings: dict[str, Any] = {}
    for word in text.split():
        name, assigned, numbers = word.partition("=")
        if word in RANGES:
            settings["range"] = word
        elif word == "channels_first":
            settings["channels_first"] = True
        elif assigned and name in ("mean", "std"):
            settings[name] = [number for number in numbers.split(",") if number]
        else:
            raise UserError(
                f"Invalid preprocessing: received {text!r}, of which {word!r} is no part known;"
                f" expected {_FORMS}; as text: 0..255 mean=103.9,116.8,123.7 std=1 channels_first."
            )
    return Preprocessing(**settings)


def _numbers(name: str, value: Any) -> float | list[float]:
    """A number or a list of numbers, as JSON has them."""
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        found = np.array(np.nan)
    if found.ndim > 1 or not found.size or not np.isfinite(found).all():
        raise UserError(
            f"Invalid preprocessing: received {name} {value!r}, expected a finite number, or one"
            " for each channel."
        )
    return found.tolist()
