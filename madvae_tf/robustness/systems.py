"""What can be evaluated, as an attack wants it: defences, Keras models, folders of SavedModels, functions."""

import dataclasses
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.answers import are_probabilities
from madvae_tf.attacks import Target
from madvae_tf.errors import UserError
from madvae_tf.models.foreign import ForeignClassifier, adapt, load_classifier_file
from madvae_tf.oblivious import batched

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
    """

    target: Target
    targets: Mapping[str, Target] = dataclasses.field(default_factory=dict)
    name: str = ""
    notes: tuple[str, ...] = ()


def system_of(model: Any, images: np.ndarray) -> System:
    """What is given, as a system.

    Args:
        model: a `System`; whatever has a method `system()` that gives one, as a `FittedDefense`; a `Target`; a Keras model, which is
            called for inference and whose logits are taken where it ends in a softmax; the path of a SavedModel's folder or of a
            `.keras` file; or a function of TensorFlow, images -> logits or probabilities.
        images: float32 (n, 28, 28, 1) in [0, 1], that it is tried with.

    Raises:
        UserError: it is nothing of these, or see `adapt`.
    """
    if isinstance(model, System):
        return model
    if isinstance(model, Target):
        return System(model, name="system")
    if not isinstance(model, type) and callable(getattr(model, "system", None)):
        return model.system()
    probe = images[:PROBES]
    if isinstance(model, str | os.PathLike):
        loaded = load_classifier_file(Path(model).expanduser(), probe)
        return _adapted(loaded, Path(model).name)
    if isinstance(model, keras.layers.Layer):
        return _adapted(adapt(model, probe, needs_gradient=False), model.name)
    if isinstance(model, ForeignClassifier):
        return _adapted(model, getattr(model.source, "name", "classifier"))
    if not callable(model):
        raise UserError(
            f"Invalid model: received {type(model).__name__}, expected what madvae_tf.fit or madvae_tf.load gives, a Keras model, "
            "the path of a SavedModel's folder or of a .keras file, or a function of TensorFlow, images -> logits."
        )
    function: Any = model
    name = getattr(function, "__name__", type(function).__name__)
    if _gives_probabilities(function, probe):
        return _adapted(adapt(function, probe, needs_gradient=False), name)
    return System(Target(function), name="function" if name == "<lambda>" else name)


def _adapted(classifier: ForeignClassifier, name: str) -> System:
    note = "The model gives probabilities; attacked is their logarithm, which float32 cuts off where the model is very sure."
    logarithm = classifier.outputs == "probabilities" and classifier.logits is None
    return System(Target(classifier), name=name, notes=(note,) if logarithm else ())


def _gives_probabilities(model: Callable[..., Any], probe: np.ndarray) -> bool:
    """Whether a function's answers for the images are probabilities; what is wrong with them otherwise is said elsewhere."""
    values = batched(tf.function(model), probe, len(probe))
    return values.ndim == 2 and bool(np.isfinite(values).all()) and are_probabilities(values)
