"""What every public function asks of a batch of images: one shape, finite, in [0, 1]. Labels are
`labels`'s.

The paper's images are 28 x 28 grey. Whatever takes images takes other small ones, too: a height
and a width from 8 to 256 pixels each, in one channel (grey) or three (red, green, blue).
"""

from typing import Any

import numpy as np

from madvae_tf.utils.errors import UserError

Shape = tuple[int, int, int]

# The paper's.
IMAGE_SHAPE: Shape = (28, 28, 1)
SIDES = range(8, 257)
CHANNELS = (1, 3)
# Further outside [0, 1] than a rounding of 0 or 1 takes a value (float32: 6e-8; a chain of
# operations: a few times that).
PIXEL_TOLERANCE = 1e-6
SHAPES = f"images with a height and a width from {SIDES[0]} to {SIDES[-1]} and 1 or 3 channels"


def is_image_shape(shape: Any) -> bool:
    """Whether (height, width, channels) is one that this project takes; see the module's docstring."""  # noqa: E501
    return len(shape) == 3 and all(side in SIDES for side in shape[:2]) and shape[2] in CHANNELS


def shape_of(images: Any) -> Shape:
    """(height, width, channels) of a batch of images, whose static shape is known."""
    height, width, channels = (int(size) for size in images.shape[1:])
    return height, width, channels


def shape_entry(shape: Shape) -> dict[str, list[int]]:
    """The entry of a model's configuration that says its images' shape; none for the paper's, as
    files always had it.
    """
    return {} if tuple(shape) == IMAGE_SHAPE else {"image_shape": list(shape)}


def as_shape(shape: Any) -> Shape:
    """`shape`, a list in a file, as a tuple. Raises `UserError` where it is none that this project
    takes.
    """
    if not is_image_shape(shape):
        raise UserError(
            f"Invalid image_shape: received {tuple(shape)}, expected {SHAPES}, like (28, 28, 1)."
        )
    height, width, channels = shape
    return height, width, channels


def check_images(
    images: np.ndarray, what: str = "images", shape: Shape | None = None
) -> np.ndarray:
    """Returns `images` as a float32 array (batch, height, width, channels), or says what is wrong
    with it.

    Args:
        images: floating point, (batch, height, width, channels), finite, in [0, 1]; a value at most
            `PIXEL_TOLERANCE` outside is clipped.
        what: what the images are, for the message.
        shape: (height, width, channels) that they must have; None: any that this project takes.

    Raises:
        UserError: wrong dtype or shape, NaN or infinity, or a value outside [0, 1].
    """
    images = np.asarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(
            f"Invalid {what}: received dtype {images.dtype}, expected float32 in [0, 1]; divide"
            " uint8 images by 255."
        )
    if not _fits(images.shape[1:], shape):
        raise UserError(
            f"Invalid {what}: received shape {images.shape}, expected {_expected('batch', shape)}."
        )
    images = images.astype(np.float32, copy=False)
    bad = ~np.isfinite(images)
    if bad.any():
        raise UserError(
            f"Invalid {what}: {int(bad.sum())} values are NaN or infinite, expected finite values"
            " in [0, 1]."
        )
    return within_range(images, what, "rescale the images first")


def within_range(images: np.ndarray, what: str, way_out: str) -> np.ndarray:
    """Finite floating point `images` in [0, 1]: the same array, or a clipped copy where a value is
    at most `PIXEL_TOLERANCE` outside.

    Raises:
        UserError: a value is farther outside.
    """
    if not images.size:
        return images
    low, high = float(images.min()), float(images.max())
    if low < -PIXEL_TOLERANCE or high > 1 + PIXEL_TOLERANCE:
        if -1 - PIXEL_TOLERANCE <= low < 0 and high <= 1 + PIXEL_TOLERANCE:
            way_out = (
                "give (images + 1) / 2 of images in [-1, 1], and preprocessing= for a classifier"
                " that wants those"
            )
        raise UserError(
            f"Invalid {what}: received values in [{low:.8g}, {high:.8g}], expected [0, 1];"
            f" {way_out}{_preprocessing(low, high)}."
        )
    return images if low >= 0 and high <= 1 else np.clip(images, 0, 1)


def _preprocessing(low: float, high: float) -> str:
    """The rest of the way out where a classifier seems to want such images."""
    if low >= 0:
        return ""
    symmetric = low >= -1 - PIXEL_TOLERANCE and high <= 1 + PIXEL_TOLERANCE
    undone = "(images + 1) / 2" if symmetric else "images * std + mean"
    named = "'-1..1'" if symmetric else "(mean, std)"
    return f"; {undone} of a classifier's own images, and pass preprocessing={named} for it"


def _fits(received: tuple[int, ...], wanted: Shape | None) -> bool:
    return is_image_shape(received) if wanted is None else received == tuple(wanted)


def _expected(batch: str, shape: Shape | None) -> str:
    if shape is None:
        return f"({batch}, height, width, channels): {SHAPES}"
    return f"({', '.join(map(str, (batch, *shape)))})"


def check_any_images(
    images: object, what: str = "images", shape: Shape | None = None
) -> np.ndarray:
    """Images as a caller may have them, checked all at once without a copy of them, but where a
    rounding is clipped.

    Args:
        images: uint8 in [0, 255] or floating point in [0, 1] (see `check_images`); (n, height,
            width, channels), or (n, height, width) if grey.
        shape: see `check_images`.

    Returns:
        the same array, or a view of it, (n, height, width, channels).

    Raises:
        UserError: no image, another dtype or shape, NaN or infinity, or a value outside [0, 1].
    """
    try:
        array = images if isinstance(images, np.memmap) else np.asarray(images)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"Invalid {what}: {error}; expected an array {_expected('n', shape)}."
        ) from error
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"Invalid {what}: received dtype {array.dtype}, expected uint8 in [0, 255] or floating"
            " point in [0, 1]."
        )
    received = array.shape
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if not _fits(array.shape[1:], shape):
        grey = "" if shape is not None and shape[2] != 1 else ", grey ones also without the channel"
        first = len(received) == 4 and received[1] in CHANNELS and received[3] not in CHANNELS
        way_out = (
            "channels come last: np.moveaxis(images, 1, -1), and preprocessing='channels_first' for"
            " a classifier that wants them first"
            if first
            else "a single image is images[None]"
        )
        raise UserError(
            f"Invalid {what}: received shape {received}, expected {_expected('n', shape)}{grey};"
            f" {way_out}."
        )
    if not len(array):
        raise UserError(f"Invalid {what}: received none, expected at least one.")
    if array.dtype != np.uint8:
        # NaN, if there is one anywhere.
        if not np.isfinite([float(array.min()), float(array.max())]).all():
            raise UserError(
                f"Invalid {what}: received NaN or infinity, expected finite values in [0, 1]."
            )
        return within_range(array, what, "divide by 255, or pass uint8 images as they are")
    return array


def as_float(images: np.ndarray) -> np.ndarray:
    """uint8 images in [0, 255] or floating point ones in [0, 1] -> float32 in [0, 1]."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


# Pixels this near 0 or 1 count as black or white; and the share of them from which on images are
# nearly binary, with some of either. MNIST has 0.91, Fashion-MNIST 0.61, CIFAR-10 0.13.
_NEAR, _BINARY_SHARE, _LEAST_OF_EITHER = 0.1, 0.85, 0.01
_LOOKED_AT = 2000


def binary_share(images: np.ndarray) -> float:
    """The share of pixels within 0.1 of 0 or 1; 0 where fewer than one in a hundred is near the one
    of them or near the other, as in pictures that are dark altogether.

    Args:
        images: uint8 in [0, 255] or floating point in [0, 1]; at most 2,000 of them, evenly spaced,
            are looked at.
    """
    rows = np.linspace(0, len(images) - 1, min(len(images), _LOOKED_AT)).astype(int)
    pixels = as_float(images[rows])
    low, high = float((pixels <= _NEAR).mean()), float((pixels >= 1 - _NEAR).mean())
    return low + high if min(low, high) >= _LEAST_OF_EITHER else 0.0


def nearly_binary(images: np.ndarray) -> bool:
    """Whether nearly all pixels are black or white, as in MNIST; arguments as `binary_share`'s."""
    return binary_share(images) >= _BINARY_SHARE
