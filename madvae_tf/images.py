"""What every public door asks of a batch of images: finite float32 in [0, 1] of one shape."""

import numpy as np

from madvae_tf.errors import UserError

IMAGE_SHAPE = (28, 28, 1)


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
