"""`tf.data.Dataset` and `keras.utils.PyDataset` of images and labels, read once, in their order."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.data.disk import BATCH, gathered, unlike
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import CHANNELS

_EXPECTED = "(image, label), batched or not"


def is_stream(value: Any) -> bool:
    """Whether `read` takes it."""
    return isinstance(value, tf.data.Dataset | keras.utils.PyDataset)


def read(
    stream: tf.data.Dataset | keras.utils.PyDataset, what: str = "images"
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]:
    """Images of their own dtype as a memory map, their labels, and the names of the classes where
    the data set has `class_names`, as Keras' `image_dataset_from_directory` gives it.

    Args:
        stream: of pairs, of triples whose weights are left out, or of dicts with image and label.
        what: what the images are, for messages.

    Raises:
        UserError: it is without end, it has no pairs, or it fails.
    """
    of_keras = isinstance(stream, keras.utils.PyDataset)
    batches = _of_keras(stream, what) if of_keras else _of_tensorflow(stream, what)
    images, labels = gathered(batches, what)
    names = getattr(stream, "class_names", None)
    return images, labels, tuple(map(str, names)) if names else None


def _of_tensorflow(dataset: tf.data.Dataset, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    if dataset.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise _endless(what)
    _pair(dataset.element_spec, what)
    try:
        elements = (_pair(element, what) for element in dataset.as_numpy_iterator())
        first = next(elements, None)
        if first is None:
            return
        every = itertools.chain([first], elements)
        if _is_batch(*first):
            yield from every
            return
        while some := list(itertools.islice(every, BATCH)):
            images, labels = zip(*some, strict=True)
            shapes = sorted({image.shape for image in images})
            if len(shapes) > 1:
                raise unlike(what, str(shapes[0]), str(shapes[-1]))
            yield np.stack(images), np.stack(labels)
    except tf.errors.OpError as error:
        raise UserError(
            f"Cannot read the {what}: {cause_of(error)}; expected a tf.data.Dataset of {_EXPECTED},"
            " with images of one shape."
        ) from error


def _of_keras(dataset: keras.utils.PyDataset, what: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    count = dataset.num_batches
    if count is None:
        raise _endless(what)
    for place in range(count):
        images, labels = _pair(dataset[place], what)
        yield np.asarray(images), np.asarray(labels)


def _endless(what: str) -> UserError:
    return UserError(
        f"Invalid {what}: received a data set without end, expected a finite one; leave repeat()"
        " out, or give the part that is meant: dataset.take(count)."
    )


def _pair(element: Any, what: str) -> tuple[Any, Any]:
    if isinstance(element, Mapping) and {"image", "label"} <= set(element):
        return element["image"], element["label"]
    if isinstance(element, tuple | list) and len(element) in (2, 3):
        return element[0], element[1]
    received = f"{len(element)} parts" if isinstance(element, tuple | list) else "one part"
    if isinstance(element, Mapping):
        received = f"a dict of {', '.join(map(str, element))}"
    raise UserError(
        f"Invalid {what}: received elements of {received}, expected {_EXPECTED}, or a dict with"
        " image and label."
    )


def _is_batch(image: np.ndarray, label: np.ndarray) -> bool:
    """Three axes are a batch of grey images, or one image with its one-hot label."""
    if image.ndim != 3:
        return image.ndim > 3
    one_hot = label.ndim == 1 and image.shape[-1] in CHANNELS
    return label.ndim > 0 and not one_hot
