"""SavedModels that other TensorFlow code loads without this project, and `.keras` files."""

import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.images import IMAGE_SHAPE, Shape
from madvae_tf.models.foreign import ForeignClassifier


def export_purifier(folder: Path, purifier: Any, classifier: keras.Model | ForeignClassifier) -> None:
    """Writes a purifier with its classifier to `folder` as one SavedModel, and `purifier.keras` beside it.

    Signatures, batch size free, for images of the purifier's shape, the paper's here:
        purify (also serving_default): images float32 (batch, 28, 28, 1) in [0, 1] -> purified, the same.
        classify: images -> probabilities float32 (batch, 10), the softmax of classifier(purifier(images)).
        purify_uint8, classify_uint8: the same for uint8 images in [0, 255].
    """

    def purify(images):
        return {"purified": purifier(images)}

    def classify(images):
        return {"probabilities": tf.nn.softmax(classifier(purifier(images), training=False))}

    _write(folder, {"purify": purify, "classify": classify}, [purifier, classifier], purifier.image_shape)
    purifier.save(folder / "purifier.keras")


def export_classifier(folder: Path, classifier: keras.Model | ForeignClassifier) -> None:
    """Writes the undefended classifier: signatures classify (also serving_default) and classify_uint8.

    A Keras model is written as `classifier.keras`, too; of a SavedModel a copy stands in `original`.
    """

    def classify(images):
        return {"probabilities": tf.nn.softmax(classifier(images, training=False))}

    _write(folder, {"classify": classify}, [classifier], getattr(classifier, "image_shape", IMAGE_SHAPE))
    source = classifier.source if isinstance(classifier, ForeignClassifier) else classifier
    if isinstance(source, keras.Model):
        source.save(folder / "classifier.keras")
    elif isinstance(classifier, ForeignClassifier) and classifier.saved_model is not None:
        shutil.copytree(classifier.saved_model, folder / "original")


def _write(folder: Path, endpoints: dict, models: list[Any], shape: Shape) -> None:
    archive = keras.export.ExportArchive()
    for model in models:
        resource = model.resource if isinstance(model, ForeignClassifier) else model
        if resource is not None:
            archive.track(resource)
    floats = [tf.TensorSpec((None, *shape), tf.float32, name="images")]
    bytes_ = [tf.TensorSpec((None, *shape), tf.uint8, name="images")]
    for name, function in endpoints.items():
        archive.add_endpoint(name, _guarded(function, shape), input_signature=floats)
        archive.add_endpoint(f"{name}_uint8", _guarded(_from_uint8(function), shape), input_signature=bytes_)
    default = _guarded(next(iter(endpoints.values())), shape)
    archive.add_endpoint("serving_default", default, input_signature=floats)
    archive.write_out(str(folder), verbose=False)  # pyright: ignore[reportAttributeAccessIssue]


def _from_uint8(function):
    return lambda images: function(tf.cast(images, tf.float32) / 255.0)


def _guarded(function, shape: Shape):
    """Refuses images of another shape, and gives an empty answer to an empty batch.

    A loaded signature does not hold its input against the shape that it states, and kernels abort the whole process on
    images of another rank; of an empty batch they say that shapes do not fit.
    """

    def call(images):
        images = tf.ensure_shape(images, (None, *shape))
        count = tf.shape(images)[0]
        # One more image where there is none; a concatenation, since converters lose the shape behind a padding by tensors.
        none = tf.cast(tf.equal(count, 0), tf.int32)
        filled = tf.concat([images, tf.zeros(tf.stack([none, *shape]), images.dtype)], axis=0)
        return {name: value[:count] for name, value in function(filled).items()}

    return call
