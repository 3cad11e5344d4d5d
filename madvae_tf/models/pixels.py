"""What a model in front of foreign data does with pixels: bytes become floats in [0, 1], and what
is no image is refused.
"""

import tensorflow as tf

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import PIXEL_TOLERANCE


def as_pixels(images: tf.Tensor, where: str) -> tf.Tensor:
    """Images as a model takes them, also inside of `tf.function`, `tf.data` and SavedModels;
    gradients of floats pass as they are.

    Args:
        images: uint8 in [0, 255], or floating point in [0, 1]; a value at most `PIXEL_TOLERANCE`
            outside is clipped.
        where: what asks, for the message.

    Returns:
        float32 in [0, 1], of the same shape; NaN where a value is not finite, which one image of a
        batch does not pass on to the others.

    Raises:
        UserError: another dtype; when called eagerly, a finite value outside.
        tf.errors.InvalidArgumentError: in a graph, a finite value outside.
    """
    if images.dtype == tf.uint8:
        return tf.cast(images, tf.float32) / 255.0
    if not images.dtype.is_floating:
        raise UserError(
            f"Invalid images of {where}: received dtype {images.dtype.name}, expected uint8 in [0,"
            " 255] or floating point in [0, 1]."
        )
    images = tf.cast(images, tf.float32)
    finite = tf.math.is_finite(images)
    known = tf.where(finite, images, 0.0)
    # Of an empty batch they are infinity and minus infinity.
    low, high = tf.reduce_min(known), tf.reduce_max(known)
    valid = (low >= -PIXEL_TOLERANCE) & (high <= 1 + PIXEL_TOLERANCE)
    way_out = (
        "expected [0, 1]: divide bytes by 255, or let them come as uint8 (Keras casts them to"
        " floats unless keras.Input has dtype='uint8')."
    )
    if tf.executing_eagerly():
        if not valid:
            raise UserError(
                f"Invalid images of {where}: received values in [{float(low):.8g},"
                f" {float(high):.8g}], {way_out}"
            )
        checks = []
    else:
        said = [f"Invalid images of {where}: received values in", low, high, way_out]
        checks = [tf.debugging.Assert(valid, said)]
    with tf.control_dependencies(checks):
        return tf.where(finite, tf.clip_by_value(images, 0.0, 1.0), float("nan"))
