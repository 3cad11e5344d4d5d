"""Images with their labels, and the one place where those of a caller are checked."""

import dataclasses
from typing import Any

import numpy as np
from absl import logging

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import Shape, check_any_images
from madvae_tf.utils.labels import check_labels, class_count, number_names

_AT_ONCE = 4096  # images looked at together


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Images with their labels; it unpacks as the pair (images, labels).

    Attributes:
        images: uint8 in [0, 255] or floating point in [0, 1], (n, height, width, channels)
            (`images.is_image_shape`); those that were decoded are a read-only `np.memmap`.
        labels: int64 (n,), in [0, classes).
        names: what the classes are, in the order of the labels.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __iter__(self):
        return iter((self.images, self.labels))


def is_labelled(value: Any) -> bool:
    """Whether `labelled` takes it without labels."""
    from madvae_tf.data import streams

    return isinstance(value, Labelled) or streams.is_stream(value)


def labelled(
    images: Any,
    labels: Any = None,
    what: str = "images",
    shape: Shape | None = None,
    learnt: bool = True,
) -> Labelled:
    """What a caller gives as images and labels, checked.

    Args:
        images: an array (`check_any_images`); or, in place of both, a `Labelled`, a
            `tf.data.Dataset` of (image, label) or a `keras.utils.PyDataset`, which is read once,
            to disk (`streams`).
        labels: of the array (`check_labels`); None beside the others.
        what: what the images are, for messages.
        shape: (height, width, channels) that they must have; None: any.
        learnt: whether something is to be learnt from them; images of which each is of one value
            are then refused, and otherwise told of.

    Raises:
        UserError: images or labels are not that, there are labels twice or none, a data set is
            without end, images are blank.
    """
    if is_labelled(images):
        if labels is not None:
            raise UserError(
                f"Invalid {_labels(what)}: received some beside {type(images).__name__}, which has"
                " its own; expected None."
            )
        if isinstance(images, Labelled):
            return checked(images.images, images.labels, images.names, what, shape, learnt)
        from madvae_tf.data import streams

        return checked(*streams.read(images, what), what, shape, learnt)
    if labels is None:
        raise UserError(
            f"Missing {_labels(what)}: received none for {type(images).__name__}; expected one"
            " class number per image, or a tf.data.Dataset or keras.utils.PyDataset of images with"
            " labels."
        )
    return checked(images, labels, None, what, shape, learnt)


def checked(
    images: Any,
    labels: Any,
    names: tuple[str, ...] | None = None,
    what: str = "images",
    shape: Shape | None = None,
    learnt: bool = True,
) -> Labelled:
    """Arrays of images and labels, checked; classes without names are numbered. See `labelled`."""
    x = check_any_images(images, what, shape)
    y = check_labels(labels, len(x), _labels(what))
    constant = sum(
        int((part.max(axis=(1, 2, 3)) == part.min(axis=(1, 2, 3))).sum())
        for part in (x[start : start + _AT_ONCE] for start in range(0, len(x), _AT_ONCE))
    )
    if learnt and constant == len(x):
        raise UserError(
            f"Invalid {what}: received {len(x)} of which each is of one value, expected pictures;"
            " look at how they were read or scaled."
        )
    if constant:
        logging.warning("%d of %d %s are of one value each.", constant, len(x), what)
    return Labelled(x, y, names or number_names(class_count(y)))


def _labels(what: str) -> str:
    return what.replace("images", "labels", 1)
