"""TensorFlow Lite files of an exported SavedModel, and what the conversion costs in accuracy.

float32 changes nothing but the kernels; float16 halves the file, the weights being widened again
when it is loaded; int8 computes in integers between the scales that a few representative images
calibrate, and takes and gives float32 still. The images that calibrate are never those that
measure: that is the caller's part.
"""

import contextlib
import dataclasses
import io
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.models.external_classifier import open_saved_model, shape_of_signature
from madvae_tf.utils.errors import UserError, cause_of, lookup
from madvae_tf.utils.images import as_float, check_any_images

PRECISIONS = {"float32": "float32", "float16": "float16 weights", "int8": "int8, calibrated"}


def convert(
    folder: Path,
    precision: str = "float32",
    signature: str = "classify",
    representative: Any = None,
) -> bytes:
    """The content of a .tflite file.

    Args:
        folder: a SavedModel of the stage export.
        precision: a key of PRECISIONS.
        signature: which of its signatures with float32 images: purify or classify.
        representative: uint8 or floating point images (n, height, width, channels) that calibrate
            int8; a hundred or more.

    Raises:
        UserError: no SavedModel with that signature there, an unknown precision, no images for
            int8, or the converter fails.
    """
    lookup(PRECISIONS, precision, "precision")
    available = open_saved_model(folder).signatures
    shape = shape_of_signature(lookup(available, signature, "signature"), folder)
    converter: Any = tf.lite.TFLiteConverter.from_saved_model(
        str(folder), signature_keys=[signature]
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision == "int8":
        if representative is None:
            raise UserError(
                "int8 needs representative images to calibrate with; pass some training images."
            )
        images = as_float(check_any_images(representative, "representative images", shape))

        def calibration() -> Iterator[tuple[str, dict[str, np.ndarray]]]:
            for image in images:
                yield signature, {"images": image[None]}

        converter.representative_dataset = calibration
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return converter.convert()
    except Exception as error:  # The converter raises whatever its passes raise.
        cause = cause_of(error)
        raise UserError(
            f"TensorFlow Lite cannot convert {folder} to {precision}: {type(error).__name__}:"
            f" {cause}"
        ) from error


def interpreter(content: bytes, signature: str = "classify") -> Callable[[np.ndarray], np.ndarray]:
    """float32 images (n, height, width, channels) -> what the file's signature gives, one array.
    For one thread.
    """
    with warnings.catch_warnings():
        # TensorFlow says that its interpreter moves to another package.
        warnings.simplefilter("ignore")
        runner: Any = tf.lite.Interpreter(model_content=content).get_signature_runner(signature)

    def run(images: np.ndarray) -> np.ndarray:
        (result,) = runner(images=images).values()
        return np.array(result)

    return run


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A converted model beside the SavedModel that it came from, on n images.

    Attributes:
        n: how many images.
        saved_model, converted: accuracy of each.
        agreement: the share of images for which both predict the same class.
        largest_difference: of any probability.
        megabytes: of the .tflite file.
    """

    n: int
    saved_model: float
    converted: float
    agreement: float
    largest_difference: float
    megabytes: float


def compare(
    folder: Path, content: bytes, images: Any, labels: np.ndarray, batch_size: int = 64
) -> Comparison:
    """Measures `content`, a conversion of the signature classify of `folder`, on labelled images
    that calibrated nothing.

    Raises:
        UserError: images of another shape than the model's.
    """
    loaded = open_saved_model(folder)
    shape = shape_of_signature(loaded.signatures["classify"], folder)
    x = check_any_images(images, shape=shape)
    lite = interpreter(content)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for start in range(0, len(x), batch_size):
        part = as_float(x[start : start + batch_size])
        expected = loaded.signatures["classify"](images=tf.constant(part))["probabilities"].numpy()
        found.append((expected, lite(part)))
    expected, got = (np.concatenate(parts) for parts in zip(*found, strict=True))
    first, second = expected.argmax(axis=1), got.argmax(axis=1)
    return Comparison(
        n=len(x),
        saved_model=float((first == labels).mean()),
        converted=float((second == labels).mean()),
        agreement=float((first == second).mean()),
        largest_difference=float(np.abs(expected - got).max()),
        megabytes=len(content) / 1e6,
    )
