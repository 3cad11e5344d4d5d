"""SavedModels that other TensorFlow code loads without this project, and `.keras` files."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.models.external_classifier import ExternalClassifier
from madvae_tf.models.finite import check_finite
from madvae_tf.models.pixels import as_pixels
from madvae_tf.utils.images import IMAGE_SHAPE, Shape

# Images at a time where the signature computes a batch in parts.
PART = 256
_Function = Callable[[Any], Any]
_OUTPUTS = {"purify": "purified", "classify": "probabilities", "logits": "logits"}


def export_purifier(
    folder: Path, purifier: Any, classifier: keras.Model | ExternalClassifier
) -> None:
    """Writes a purifier with its classifier to `folder` as one SavedModel, and `purifier.keras`
    beside it.

    Signatures, batch size free, for images of the purifier's shape, the paper's here:
        purify (also serving_default): images float32 (batch, height, width, channels) in [0, 1],
        others are refused -> purified, the same.
        classify: images -> probabilities float32 (batch, classes), the softmax of
        classifier(purifier(images)).
        logits: images -> what the softmax is of, for attacks: where the classifier is very sure,
        probabilities have lost the gradient.
        purify_uint8, classify_uint8: the same for uint8 images in [0, 255], any number of them in
        the memory of PART.

    Raises:
        UserError: weights of the purifier are not finite.
    """
    check_finite(purifier, "purifier")

    def logits(images):
        return classifier(purifier(images), training=False)

    endpoints = {"purify": purifier, "classify": _softmax_of(logits), "logits": logits}
    _write(folder, endpoints, [purifier, classifier], purifier.image_shape)
    purifier.save(folder / "purifier.keras")


def export_classifier(folder: Path, classifier: keras.Model | ExternalClassifier) -> None:
    """Writes the undefended classifier: signatures classify (also serving_default), classify_uint8
    and logits.

    A Keras model is written as `classifier.keras`, too; of a SavedModel a copy stands in
    `original`.
    """

    def logits(images):
        return classifier(images, training=False)

    _write(
        folder,
        {"classify": _softmax_of(logits), "logits": logits},
        [classifier],
        getattr(classifier, "image_shape", IMAGE_SHAPE),
    )
    source = classifier.source if isinstance(classifier, ExternalClassifier) else classifier
    if isinstance(source, keras.Model):
        source.save(folder / "classifier.keras")
    elif isinstance(classifier, ExternalClassifier) and classifier.saved_model is not None:
        shutil.copytree(classifier.saved_model, folder / "original")


def _write(folder: Path, endpoints: dict[str, _Function], models: list[Any], shape: Shape) -> None:
    archive = keras.export.ExportArchive()
    for model in models:
        resource = model.resource if isinstance(model, ExternalClassifier) else model
        if resource is not None:
            archive.track(resource)
    floats = [tf.TensorSpec((None, *shape), tf.float32, name="images")]
    bytes_ = [tf.TensorSpec((None, *shape), tf.uint8, name="images")]
    for name, function in endpoints.items():
        archive.add_endpoint(name, _guarded(function, name, shape), input_signature=floats)
        if name != "logits":
            parts = _guarded(_bytes_in_parts(function), name, shape)
            archive.add_endpoint(f"{name}_uint8", parts, input_signature=bytes_)
    name, function = next(iter(endpoints.items()))
    archive.add_endpoint("serving_default", _guarded(function, name, shape), input_signature=floats)
    archive.write_out(str(folder), verbose=False)  # pyright: ignore[reportAttributeAccessIssue]


def _softmax_of(logits: _Function) -> _Function:
    return lambda images: tf.nn.softmax(logits(images))


def _bytes_in_parts(function: _Function) -> _Function:
    """`function` of uint8 images, PART of them at a time, so that memory does not grow with what is
    computed between.

    Float images go whole: gradients are asked of those, and converters take no loops.
    """

    def call(images):
        count = tf.shape(images)[0]
        parts = (count + PART - 1) // PART
        answers = tf.TensorArray(tf.float32, parts, infer_shape=False)
        shape = []

        def step(part, answers):
            answer = function(tf.cast(images[part * PART : (part + 1) * PART], tf.float32) / 255.0)
            shape[:] = [None, *answer.shape[1:]]
            return part + 1, answers.write(part, answer)

        loop = tf.while_loop(
            lambda part, _: part < parts, step, (0, answers), parallel_iterations=1
        )
        return tf.ensure_shape(loop[1].concat(), shape)

    return call


def _guarded(
    function: _Function, name: str, shape: Shape
) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
    """Refuses images of another shape and floats outside [0, 1], and gives an empty answer to an
    empty batch.

    A loaded signature does not hold its input against the shape that it states, and kernels abort
    the whole process on images of another rank; of an empty batch they say that shapes do not fit.
    """

    def call(images):
        images = tf.ensure_shape(images, (None, *shape))
        if images.dtype != tf.uint8:
            images = as_pixels(images, f"the signature {name}")
        count = tf.shape(images)[0]
        # One more image where there is none; a concatenation, since converters lose the shape
        # behind a padding by tensors.
        none = tf.cast(tf.equal(count, 0), tf.int32)
        filled = tf.concat([images, tf.zeros(tf.stack([none, *shape]), images.dtype)], axis=0)
        return {_OUTPUTS[name]: function(filled)[:count]}

    return call
