"""A classifier that is not of this project, as the project's code wants one: frozen, images ->
float32 logits.

It may be a Keras model, a SavedModel or any callable made of TensorFlow operations, and give logits
or probabilities. Which of the two is seen on a few images: rows that are nowhere negative and sum
to one are probabilities. Of a Keras model that shows its softmax the logits before it are taken, of
others the logarithm; it differs from the logits by one number per image, which changes neither
softmax, margins nor cross-entropy, but float32 cuts it off where the model is very sure. One that
wants other numbers than images in [0, 1] is wrapped first (`models.preprocessing`).

One output per image, a logit z or a sigmoid's probability p, stands for two classes: logits 0 and
z, or 0 and log(p / (1 - p)).
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl import logging

# The classes of this project's own files must be registered before one is read.
import madvae_tf.models.classifiers  # noqa: F401
from madvae_tf.models.inference import for_inference
from madvae_tf.models.preprocessing import (
    PreprocessedClassifier,
    Preprocessing,
    preprocessing_of,
)
from madvae_tf.models.softmax import without_sigmoid, without_softmax
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import (
    IMAGE_SHAPE,
    SHAPES,
    Shape,
    as_shape,
    is_image_shape,
    shape_of,
)
from madvae_tf.utils.labels import MOST_CLASSES
from madvae_tf.utils.output_kind import one_output, read_outputs

OUTPUTS = ("auto", "logits", "probabilities")

# Probabilities below it count as it: the logarithm of 0 is no number, and neither is its gradient.
_SMALLEST = 1e-37
# How far the softmax of a model's logits may lie from its probabilities.
_SAME = 1e-4


class ExternalClassifier:
    """Calls like this project's classifiers: images float32 (batch, height, width, channels) in [0,
    1] -> logits float32 (batch, classes).

    Attributes:
        source: the Keras model or callable itself; nothing of it is changed.
        outputs: what it gives, "logits" or "probabilities".
        resource: what TensorFlow must track to save a function that calls it, or None.
        saved_model: the folder that it was loaded from, or None.
        image_shape: (height, width, channels) of the images that it was tried with.
        num_classes: of its logits.
        single: whether `source` has one output, the second of two classes.
        logits: what gives the logits behind the probabilities, or None: then their logarithm is
            taken.
        doubt: where it could give the other of the two, one sentence about it, else "".
        trainable: assigned to by the trainers, as to a Keras model; without effect.
    """

    def __init__(
        self,
        source: Callable[..., Any],
        outputs: str,
        resource: Any = None,
        saved_model: Path | None = None,
        image_shape: Shape = IMAGE_SHAPE,
        logits: Callable[..., Any] | None = None,
        doubt: str = "",
        num_classes: int = 0,
        single: bool = False,
    ):
        self.source = source
        self.outputs = outputs
        self.resource = source if isinstance(source, keras.layers.Layer | tf.Module) else resource
        self.saved_model = saved_model
        self.image_shape = image_shape
        self.logits = logits
        self.doubt = doubt
        self.num_classes = num_classes
        self.single = single
        self.trainable = False

    def __call__(self, images: Any, training: bool = False) -> tf.Tensor:
        del training  # The classifier is frozen.
        given = tf.convert_to_tensor(images, tf.float32)
        values = tf.cast(one_output(for_inference(self.logits or self.source, given)), tf.float32)
        if self.outputs == "probabilities" and self.logits is None:
            other = 1.0 - values
            values = tf.math.log(tf.maximum(values, _SMALLEST))
            if self.single:
                values -= tf.math.log(tf.maximum(other, _SMALLEST))
        return tf.concat([tf.zeros_like(values), values], axis=1) if self.single else values


def adapt(
    classifier: Callable[..., Any],
    probe: np.ndarray,
    outputs: str = "auto",
    needs_gradient: bool = True,
    preprocessing: Any = None,
    **more: Any,
) -> ExternalClassifier:
    """The classifier behind a `ExternalClassifier`, after a look at what it gives for `probe`.

    Args:
        classifier: a Keras model or layer, or a callable; images float32 (batch, height, width,
            channels) in [0, 1] -> (batch, classes), or (batch, 1): see the module's docstring.
        probe: a few such images.
        outputs: "logits" or "probabilities"; "auto": see the module's docstring.
        needs_gradient: whether one through which no gradient flows is refused.
        preprocessing: what it wants done to the images first, see `models.preprocessing`.
        more: `resource` and `saved_model` of `ExternalClassifier`.

    Raises:
        UserError: it cannot be called, gives another shape or values that are not finite, gives no
            probabilities where they are announced, or lets no gradient through, which attacks need.
    """
    if outputs not in OUTPUTS:
        raise UserError(
            f"Invalid outputs: received {outputs!r}, expected one of {', '.join(OUTPUTS)}."
        )
    if isinstance(classifier, ExternalClassifier):
        if preprocessing is not None:
            raise UserError(
                "Invalid preprocessing: the classifier was adapted already, expected it as it was"
                " before that."
            )
        return classifier
    if not callable(classifier):
        raise UserError(
            f"Invalid classifier: received {type(classifier).__name__}, expected a Keras model or a"
            " callable, images (batch, height, width, channels) -> (batch, classes)."
        )
    x = tf.constant(probe, tf.float32)
    _check_inputs(classifier, shape_of(probe), preprocessing)
    given = classifier
    if (wanted := preprocessing_of(preprocessing)) is not None:
        classifier, more = _preprocessed(classifier, wanted, probe.shape[-1], more)
    try:
        values = np.asarray(one_output(for_inference(classifier, x)), np.float64)
    except UserError:
        raise
    except Exception as error:  # Whatever a foreign function raises.
        raise UserError(
            f"Invalid classifier: it raised {type(error).__name__} for {len(probe)} images of shape"
            f" {shape_of(probe)} ({cause_of(error)}); expected float32 (batch,"
            f" {', '.join(map(str, shape_of(probe)))}) -> (batch, classes)."
        ) from error
    if values.ndim != 2 or len(values) != len(probe) or not 1 <= values.shape[1] <= MOST_CLASSES:
        raise UserError(
            f"Invalid classifier: it gave shape {values.shape} for {len(probe)} images, "
            f"expected ({len(probe)}, classes): a logit or a probability for each of 2 to"
            f" {MOST_CLASSES} classes, or ({len(probe)}, 1): a single sigmoid."
        )
    if not np.isfinite(values).all():
        raise UserError(
            "Invalid classifier: it gave NaN or infinity, expected finite logits or probabilities."
        )
    sums, single = values.sum(axis=1), values.shape[1] == 1
    reading = read_outputs(values)
    if outputs == "probabilities" and reading.outputs != outputs:
        raise UserError(
            f"Invalid classifier: values in [{values.min():g}, {values.max():g}] with sums in"
            f" [{sums.min():g}, {sums.max():g}], expected probabilities"
            f" {'in [0, 1]' if single else 'that sum to 1'}; pass outputs='logits' if they are"
            " logits."
        )
    more |= {"image_shape": shape_of(probe), "single": single}
    more["num_classes"] = 2 if single else values.shape[1]
    kind = reading.outputs if outputs == "auto" else outputs
    if kind == "probabilities" and isinstance(given, keras.layers.Layer):
        more["logits"] = _before_activation(given, wanted, x, values)
    # A single output that shows its sigmoid is no logit, whatever it says.
    if outputs == "auto" and reading.doubt and not (single and more.get("logits")):
        more["doubt"] = reading.doubt
        logging.warning("The classifier: %s", reading.doubt)
    adapted = ExternalClassifier(classifier, kind, **more)
    if needs_gradient:
        _check_gradient(adapted, x)
    return adapted


def _check_inputs(classifier: Any, shape: Shape, preprocessing: Any) -> None:
    """Raises `UserError` where a Keras model takes several inputs that nothing fills, or images of
    another shape, which Keras reads in another order where it can.
    """
    if not isinstance(classifier, keras.Model) or preprocessing is not None:
        return
    inputs = getattr(classifier, "inputs", None) or ()
    if len(inputs) > 1:
        names = ", ".join(str(each.name) for each in inputs)
        raise UserError(
            f"Invalid classifier: it takes {len(inputs)} inputs ({names}), expected images alone;"
            " say what each gets with preprocessing, like preprocessing=lambda images: [images,"
            " other]."
        )
    taken = tuple(inputs[0].shape)[1:] if inputs else ()
    if len(taken) == 3 and any(a not in (None, b) for a, b in zip(taken, shape, strict=True)):
        height, width, channels = shape
        first = taken == (channels, height, width)
        raise UserError(
            f"Invalid classifier: it takes images {taken}, received {shape}; "
            + ('pass preprocessing="channels_first".' if first else "expected images of its shape.")
        )


def _preprocessed(
    classifier: Any, wanted: Callable[..., Any], channels: int, more: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The classifier behind what it wants, and the further arguments of `ExternalClassifier`: a
    Keras model where both are Keras', which can be saved.
    """
    if isinstance(wanted, Preprocessing):
        wanted.check_channels(channels)
    if isinstance(classifier, keras.layers.Layer) and isinstance(wanted, keras.layers.Layer):
        return PreprocessedClassifier(classifier, wanted), more
    # What a SavedModel of it must track.
    resources: Any = tf.Module()
    kinds = keras.layers.Layer | tf.Module
    parts = [part for part in (classifier, wanted) if isinstance(part, kinds)]
    loaded = more.get("resource")
    resources.parts = parts if loaded is None else [*parts, loaded]
    return _joined(classifier, wanted), {**more, "resource": resources}


def _before_activation(
    model: Any, wanted: Callable[..., Any] | None, x: tf.Tensor, probabilities: np.ndarray
) -> Callable[..., Any] | None:
    """The model without its softmax or single sigmoid behind what it wants, if that of what it
    gives is what the model gave.
    """
    single = probabilities.shape[1] == 1
    logits = (without_sigmoid if single else without_softmax)(model)
    if logits is None:
        return None
    if wanted is not None:
        logits = _joined(logits, wanted)
    again = (tf.nn.sigmoid if single else tf.nn.softmax)(tf.cast(logits(x), tf.float32)).numpy()
    return logits if np.allclose(again, probabilities, atol=_SAME) else None


def _joined(classifier: Callable[..., Any], wanted: Callable[..., Any]) -> Callable[..., Any]:
    return lambda images: for_inference(classifier, for_inference(wanted, images))


def open_saved_model(folder: Path) -> Any:
    """What `tf.saved_model.load` gives for `folder`. Raises `UserError` where there is no
    SavedModel that can be read.
    """
    try:
        return tf.saved_model.load(str(Path(folder).expanduser()))
    except (OSError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"Cannot read the SavedModel {folder}: {cause_of(error)}; expected a folder with"
            " saved_model.pb."
        ) from error


def shape_of_signature(function: Any, folder: Path) -> Shape:
    """(height, width, channels) of the images that a SavedModel's signature takes; the paper's
    where it leaves them open.

    Raises:
        UserError: it takes something else than images of a shape that this project takes.
    """
    spec, *more = function.structured_input_signature[1].values()
    shape = spec.shape.as_list()[1:] if spec.shape.rank is not None else [None] * 3
    if all(size is None for size in shape) and len(shape) == 3:
        return IMAGE_SHAPE
    if more or not is_image_shape(tuple(shape)):
        raise UserError(f"The SavedModel {folder} takes {spec.shape}, expected images: {SHAPES}.")
    return as_shape(tuple(shape))


def load_saved_model(
    folder: Path,
    probe: np.ndarray,
    outputs: str = "auto",
    signature: str = "",
    preprocessing: Any = None,
) -> ExternalClassifier:
    """A classifier from a SavedModel.

    Args:
        signature: which one; "": the first that is there of logits, classify and serving_default.
        preprocessing: see `adapt`.

    Raises:
        UserError: no SavedModel there, no such signature, one that takes or gives more than one
            tensor, or see `adapt`.
    """
    loaded = open_saved_model(folder)
    known = sorted(loaded.signatures)
    standard = (
        ["classify", "serving_default"]
        if outputs == "probabilities"
        else ["logits", "classify", "serving_default"]
    )
    wanted = [signature] if signature else standard
    name = next((each for each in wanted if each in known), None)
    if name is None:
        raise UserError(
            f"SavedModel {folder} has no signature {' or '.join(wanted)}; it has:"
            f" {', '.join(known) or 'none'}."
        )
    function = loaded.signatures[name]
    inputs, results = function.structured_input_signature[1], function.structured_outputs
    if len(inputs) != 1 or len(results) != 1:
        raise UserError(
            f"Signature {name} of {folder} takes {', '.join(inputs)} and gives"
            f" {', '.join(results)}; expected one tensor of images in, and one of logits or"
            " probabilities out."
        )
    (argument,), (result,) = inputs, results
    return adapt(
        lambda images: function(**{argument: images})[result],
        probe,
        outputs,
        resource=loaded,
        saved_model=folder,
        preprocessing=preprocessing,
    )


def load_classifier_file(
    path: Path, probe: np.ndarray, outputs: str = "auto", preprocessing: Any = None
) -> ExternalClassifier:
    """A classifier from a `.keras` file (read in safe mode) or from the folder of a SavedModel.

    Args:
        preprocessing: see `adapt`.

    Raises:
        UserError: there is none, it cannot be read safely, or see `adapt`.
    """
    path = path.expanduser()
    if path.is_dir():
        return load_saved_model(path, probe, outputs, preprocessing=preprocessing)
    if not path.is_file():
        raise UserError(
            f"Invalid classifier {str(path)!r}: there is nothing; expected a .keras file or the"
            " folder of a SavedModel."
        )
    if path.suffix != ".keras":
        older = path.suffix in (".h5", ".hdf5")
        way_out = (
            f": keras.saving.load_model({path.name!r}).save({path.stem + '.keras'!r}) makes one"
            if older
            else ""
        )
        raise UserError(
            f"Invalid classifier {str(path)!r}: expected a .keras file or the folder of a"
            f" SavedModel{way_out}."
        )
    try:
        model: Any = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # A damaged archive fails in many ways.
        raise UserError(
            f"Cannot read {path}: {type(error).__name__}: {cause_of(error)}; expected a .keras file"
            " of stock layers or registered classes (no Lambda of Python code); for others export"
            " a SavedModel with model.export(folder)."
        ) from error
    return adapt(model, probe, outputs, preprocessing=preprocessing)


def _check_gradient(classifier: ExternalClassifier, images: tf.Tensor) -> None:
    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_sum(classifier(images)[:, -1])
    if tape.gradient(value, images) is None:
        raise UserError(
            "Invalid classifier: no gradient flows from its output to the images, and attacks need"
            " one; expected a function of TensorFlow or Keras operations (not NumPy, no"
            " tf.stop_gradient)."
        )
