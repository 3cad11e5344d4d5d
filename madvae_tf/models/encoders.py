"""The convolutional parts of the purifier's encoders: images -> flat features; `DefenseVAE` puts
the latent heads on them.

"table5" is the paper's. "vgg" is a small network in the manner of Simonyan and Zisserman (2014): 3
x 3 convolutions in pairs, each pair followed by max pooling, and no normalisation. An attack
through it costs a fraction of one through a whole purifier, so it is the encoder for features that
are trained first (`training.robust_encoder`).
"""

import math
from collections.abc import Callable
from typing import Any

import keras

from madvae_tf.models.convolutions import Conv2D
from madvae_tf.models.layers import BatchNormalization
from madvae_tf.utils.images import Shape


def halvings(side: int) -> tuple[int, int]:
    """The side of the innermost map, and the pixels padded and cropped on each side of the image;
    `side` is even.
    """
    inner = math.ceil(side / 8)
    return inner, (8 * inner - side) // 2


def table5(image_shape: Shape, kernel: Callable[[], Any], policy: Any) -> keras.Sequential:
    """Table 5: four convolutions with batch normalisation, to a map of 256 channels, an eighth of
    the image's side.

    Args:
        image_shape: (height, width, channels).
        kernel: makes the initializer of a convolution.
        policy: the layers' dtype policy.
    """

    def block(channels: int, size: int, stride: int) -> tuple[Any, ...]:
        convolution = Conv2D(
            channels,
            size,
            stride,
            padding="same",
            use_bias=False,
            kernel_initializer=kernel(),
            dtype=policy,
        )
        return convolution, BatchNormalization(dtype=policy), keras.layers.ReLU(dtype=policy)

    margin = halvings(image_shape[0])[1]
    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="float32"),
            *block(64, 5, 1),
            # Of 28 pixels: padding 3 of a 4 x 4 stride-2 convolution is 2 here and 1 that "same"
            # adds.
            *([keras.layers.ZeroPadding2D(margin, dtype=policy)] if margin else []),
            *block(64, 4, 2),
            *block(128, 4, 2),
            *block(256, 4, 2),
            keras.layers.Flatten(dtype=policy),
        ],
        name="encoder",
    )


def vgg(image_shape: Shape, kernel: Callable[[], Any], policy: Any) -> keras.Sequential:
    """3 x 3 convolutions of 32, 32, 64, 64 and 128 channels, max pooling after each pair, 256 dense
    features; arguments as `table5`'s.
    """

    def convolution(channels: int) -> Any:
        return Conv2D(
            channels,
            3,
            padding="same",
            activation="relu",
            kernel_initializer=kernel(),
            dtype=policy,
        )

    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="float32"),
            *(convolution(32), convolution(32), keras.layers.MaxPooling2D(dtype=policy)),
            *(convolution(64), convolution(64), keras.layers.MaxPooling2D(dtype=policy)),
            convolution(128),
            keras.layers.Flatten(dtype=policy),
            keras.layers.Dense(256, activation="relu", dtype=policy),
        ],
        name="encoder",
    )


ENCODERS = {"table5": table5, "vgg": vgg}
