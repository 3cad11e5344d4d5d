"""What can be evaluated, as an attack wants it: defences, Keras models, folders of SavedModels,
functions.
"""

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.models.external_classifier import ExternalClassifier, adapt, load_classifier_file
from madvae_tf.models.inference import for_inference
from madvae_tf.models.preprocessing import preprocessing_of
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.output_kind import one_output, read_outputs

# Images that show whether a model gives logits or probabilities.
PROBES = 32


@dataclasses.dataclass(frozen=True, eq=False)
class System:
    """A system and what an attacker has of it.

    Attributes:
        target: the whole system, with the parts that it is made of where they are known.
        targets: ways around its gradient by the gradient that a trial names, see `evaluate`.
        name: what it is called in tables.
        notes: what a reader of its figures must know.
        threat: the budget that it was made for, where one is known.
    """

    target: DefendedModel
    targets: Mapping[str, DefendedModel] = dataclasses.field(default_factory=dict)
    name: str = ""
    notes: tuple[str, ...] = ()
    threat: str = ""


def system_of(model: Any, images: np.ndarray, preprocessing: Any = None) -> System:
    """What is given, as a system.

    Args:
        model: a `System`; whatever has a method `system()` that gives one, as a `FittedDefense`; a
            `DefendedModel`; a Keras model, which is called for inference and whose logits are taken
            where it ends in a softmax; the path of a SavedModel's folder or of a `.keras` file; or
            a function of TensorFlow, images -> logits or probabilities.
        images: float32 (n, height, width, channels) in [0, 1], that it is tried with.
        preprocessing: what a model, a file or a function wants done to the images first, see
            `adapt`.

    Raises:
        UserError: it is nothing of these, or see `adapt`.
    """
    whole = isinstance(model, System | DefendedModel) or hasattr(model, "system")
    if whole and preprocessing is not None:
        raise UserError(
            f"Invalid preprocessing: {type(model).__name__} takes images in [0, 1], expected none;"
            " give it where its classifier is given, as to madvae_tf.fit."
        )
    if isinstance(model, System):
        return model
    if isinstance(model, DefendedModel):
        return System(model, name="system")
    if not isinstance(model, type) and callable(getattr(model, "system", None)):
        return model.system()
    probe = images[:PROBES]
    if isinstance(model, str | os.PathLike):
        loaded = load_classifier_file(Path(model).expanduser(), probe, preprocessing=preprocessing)
        return _adapted(loaded, Path(model).name)
    if isinstance(model, keras.layers.Layer):
        adapted = adapt(model, probe, needs_gradient=False, preprocessing=preprocessing)
        return _adapted(adapted, model.name)
    if isinstance(model, ExternalClassifier):
        return _adapted(
            adapt(model, probe, preprocessing=preprocessing),
            getattr(model.source, "name", "classifier"),
        )
    if isinstance(model, type) or not callable(model):
        raise UserError(
            f"Invalid model: received {type(model).__name__}, expected what madvae_tf.fit or"
            " madvae_tf.load gives, a Keras model, the path of a SavedModel's folder or of a"
            " .keras file, or a function of TensorFlow, images -> logits."
        )
    if (wanted := preprocessing_of(preprocessing)) is not None:
        model = _behind(model, wanted)
    return _of_function(model, probe)


def _behind(function: Callable[..., Any], wanted: Callable[..., Any]) -> Callable[..., Any]:
    """The function of images in [0, 1], under its own name."""

    @functools.wraps(function, updated=())
    def preprocessed(images: Any) -> Any:
        return function(for_inference(wanted, images))

    return preprocessed


def _adapted(classifier: ExternalClassifier, name: str) -> System:
    note = (
        "The model gives probabilities; attacked is their logarithm, which float32 cuts off where"
        " the model is very sure."
    )
    logarithm = classifier.outputs == "probabilities" and classifier.logits is None
    notes = (note,) if logarithm else ()
    return System(
        DefendedModel(classifier),
        name=name,
        notes=(*notes, classifier.doubt) if classifier.doubt else notes,
    )


def _of_function(function: Callable[..., Any], probe: np.ndarray) -> System:
    """A function of TensorFlow; what is wrong with the shape or type of its logits is said where
    all of them are.
    """
    name = getattr(function, "__name__", type(function).__name__)
    name = "function" if name == "<lambda>" else name
    values = _asked(function, probe)
    if isinstance(values, dict | list | tuple):
        one_output(values)  # Says where there are several.
        return _of_function(lambda images: one_output(function(images)), probe)
    if values.ndim != 2 or not len(values) or not np.isfinite(values).all():
        return System(DefendedModel(function), name=name)
    reading = read_outputs(values)
    if reading.outputs == "probabilities" or values.shape[1] == 1:
        return _adapted(adapt(function, probe, needs_gradient=False), name)
    return System(
        DefendedModel(function), name=name, notes=(reading.doubt,) if reading.doubt else ()
    )


def _asked(function: Callable[..., Any], probe: np.ndarray) -> Any:
    """What a function says of the probe, traced as attacks trace it."""
    try:
        values = tf.function(function)(tf.constant(probe))
    except UserError:
        raise
    except Exception as error:  # Whatever a foreign function raises.
        numpy = isinstance(error, NotImplementedError) or "numpy" in str(error).lower()
        way_out = (
            "TensorFlow's operations in place of NumPy's"
            if numpy
            else "a function of one batch of images"
        )
        raise UserError(
            f"Invalid model: it raised {type(error).__name__} for {len(probe)} images of shape"
            f" {probe.shape[1:]} ({cause_of(error)}); expected {way_out}, float32 images -> (batch,"
            " classes)."
        ) from error
    return values if isinstance(values, dict | list | tuple) else np.asarray(values)
