"""What every public door asks of a batch: images of one shape, finite, in [0, 1], and labels that fit them."""

import numpy as np

from madvae_tf.errors import UserError

IMAGE_SHAPE = (28, 28, 1)
NUM_CLASSES = 10


def check_images(images: np.ndarray, what: str = "images") -> np.ndarray:
    """Returns `images` as a float32 array (batch, 28, 28, 1), or says what is wrong with it.

    Args:
        images: floating point, (batch, 28, 28, 1), finite, in [0, 1].
        what: what the images are, for the message.

    Raises:
        UserError: wrong dtype or shape, NaN or infinity, or a value outside [0, 1].
    """
    images = np.asarray(images)
    if not np.issubdtype(images.dtype, np.floating):
        raise UserError(
            f"Invalid {what}: received dtype {images.dtype}, expected float32 in [0, 1]; divide uint8 images by 255."
        )
    if images.ndim != 4 or images.shape[1:] != IMAGE_SHAPE:
        raise UserError(f"Invalid {what}: received shape {images.shape}, expected (batch, 28, 28, 1).")
    images = images.astype(np.float32, copy=False)
    bad = ~np.isfinite(images)
    if bad.any():
        raise UserError(
            f"Invalid {what}: {int(bad.sum())} values are NaN or infinite, expected finite values in [0, 1]."
        )
    if images.size and (images.min() < 0 or images.max() > 1):
        raise UserError(
            f"Invalid {what}: received values in [{images.min():g}, {images.max():g}], expected [0, 1]; "
            "rescale the images first."
        )
    return images


def check_any_images(images: object, what: str = "images") -> np.ndarray:
    """Images as a caller may have them, checked all at once without a copy of them.

    Args:
        images: uint8 in [0, 255] or floating point in [0, 1]; (n, 28, 28, 1) or (n, 28, 28).

    Returns:
        the same array, or a view of it, (n, 28, 28, 1).

    Raises:
        UserError: no image, another dtype or shape, NaN or infinity, or a value outside [0, 1].
    """
    try:
        array = np.asarray(images)
    except (TypeError, ValueError) as error:
        raise UserError(f"Invalid {what}: {error}; expected an array (n, 28, 28, 1).") from error
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"Invalid {what}: received dtype {array.dtype}, expected uint8 in [0, 255] or floating point in [0, 1]."
        )
    if array.shape[1:] not in (IMAGE_SHAPE, IMAGE_SHAPE[:2]):
        raise UserError(
            f"Invalid {what}: received shape {array.shape}, expected (n, 28, 28, 1) or (n, 28, 28); "
            "a single image is images[None]."
        )
    if not len(array):
        raise UserError(f"Invalid {what}: received none, expected at least one.")
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())  # NaN, if there is one anywhere
        if not np.isfinite([low, high]).all():
            raise UserError(f"Invalid {what}: received NaN or infinity, expected finite values in [0, 1].")
        if low < 0 or high > 1:
            raise UserError(
                f"Invalid {what}: received values in [{low:g}, {high:g}], expected [0, 1]; divide by 255, or pass "
                "uint8 images as they are."
            )
    return array.reshape(len(array), *IMAGE_SHAPE)


def as_float(images: np.ndarray) -> np.ndarray:
    """uint8 images in [0, 255] or floating point ones in [0, 1] -> float32 in [0, 1]."""
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255)
    return images.astype(np.float32, copy=False)


def check_labels(
    labels: object, count: int, what: str = "labels", way_out: str = "take the arg-max of one-hot labels"
) -> np.ndarray:
    """Labels of `count` images as int64 (count,), or says what is wrong with them.

    Args:
        labels: integers (count,) in [0, 10).
        what: what the labels are, for the message.
        way_out: from values of another dtype or shape, for the message.

    Raises:
        UserError: another dtype or shape, or a value that is no class.
    """
    array = np.asarray(labels)
    if not np.issubdtype(array.dtype, np.integer) or array.shape != (count,):
        raise UserError(
            f"Invalid {what}: received {array.dtype} of shape {array.shape}, expected integers of shape ({count},), "
            f"one class number per image; {way_out}."
        )
    if array.size and (array.min() < 0 or array.max() >= NUM_CLASSES):
        raise UserError(
            f"Invalid {what}: received values in [{array.min()}, {array.max()}], expected [0, {NUM_CLASSES - 1}]."
        )
    return array.astype(np.int64)
