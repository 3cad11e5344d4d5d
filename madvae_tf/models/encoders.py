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
import numpy as np

from madvae_tf.models.convolutions import Conv2D
from madvae_tf.models.layers import BatchNormalization
from madvae_tf.utils.images import Shape

# What Table 5 has: of its four convolutions three halve the image, from 64 to 256 channels.
TABLE5_HALVINGS = (3, 3)
_CHANNELS = (64, 128, 256)
# The innermost map has at least so many pixels a side, and at most half as many again.
_LEAST_SIDE = 4


def halvings_of(image_shape: Shape) -> tuple[int, int]:
    """How often the height and the width are halved: each by itself as often as leaves at least 4
    pixels, rounded up.

    So the innermost map has 4 to 6 pixels a side, whatever the image. 28 and 32 are halved three
    times, as in Table 5; 8 once, 64 four times, 256 six times.
    """
    return _times(image_shape[0]), _times(image_shape[1])


def _times(side: int) -> int:
    times = 0
    while math.ceil(side / 2 ** (times + 1)) >= _LEAST_SIDE:
        times += 1
    return times


def margins(side: int, times: int) -> tuple[int, tuple[int, int]]:
    """The side of a map halved `times` times, and the pixels padded before and after the image so
    that this comes out; of an odd number the larger half comes after.
    """
    inner = math.ceil(side / 2**times)
    missing = inner * 2**times - side
    return inner, (missing // 2, missing - missing // 2)


def steps_of(times: tuple[int, int], least: int = 0) -> list[tuple[int, int]]:
    """The strides (down, across) of the layers that halve an image, from the outside in. The side
    that is halved more often begins.
    """
    count = max(*times, least)
    down, across = times
    return [
        (2 if level >= count - down else 1, 2 if level >= count - across else 1)
        for level in range(count)
    ]


def channels_of(count: int, width: float = 1.0) -> list[int]:
    """Channels before the first of `count` halvings and after each, Table 5's times `width`: 64,
    64, 128, 256 of three; more of them repeat the 64, fewer leave out what comes first.
    """
    after = [_CHANNELS[max(0, len(_CHANNELS) - count + level)] for level in range(count)]
    return [max(1, round(width * channels)) for channels in (_CHANNELS[0], *after)]


def table5(
    image_shape: Shape,
    kernel: Callable[[], Any],
    policy: Any,
    times: tuple[int, int] = TABLE5_HALVINGS,
    width: float = 1.0,
) -> keras.Sequential:
    """Table 5: a convolution of stride 1 and one for each halving, with batch normalisation, to a
    map of 256 channels.

    Args:
        image_shape: (height, width, channels).
        kernel: makes the initializer of a convolution.
        policy: the layers' dtype policy.
        times: see `halvings_of`.
        width: of the channels, times Table 5's.
    """

    def block(channels: int, size: int, stride: Any) -> tuple[Any, ...]:
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

    margin = tuple(margins(side, each)[1] for side, each in zip(image_shape, times, strict=False))
    strides = steps_of(times)
    first, *others = channels_of(len(strides), width)
    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="float32"),
            *block(first, 5, 1),
            # Of 28 pixels: padding 3 of a 4 x 4 stride-2 convolution is 2 here and 1 that "same"
            # adds.
            *([keras.layers.ZeroPadding2D(margin, dtype=policy)] if np.any(margin) else []),
            *(
                layer
                for channels, stride in zip(others, strides, strict=True)
                for layer in block(channels, 4, stride)
            ),
            keras.layers.Flatten(dtype=policy),
        ],
        name="encoder",
    )


def vgg(
    image_shape: Shape,
    kernel: Callable[[], Any],
    policy: Any,
    times: tuple[int, int] = TABLE5_HALVINGS,
    width: float = 1.0,
) -> keras.Sequential:
    """3 x 3 convolutions of 32, 32, 64, 64 and 128 channels, max pooling after each pair, 256 dense
    features; arguments as `table5`'s.

    Pooling is one less than Table 5's halvings, but at least one; further pairs have 64 channels,
    and where there is one alone it follows the second pair.
    """

    def convolution(channels: int) -> Any:
        return Conv2D(
            max(1, round(width * channels)),
            3,
            padding="same",
            activation="relu",
            kernel_initializer=kernel(),
            dtype=policy,
        )

    pooled = (max(1, times[0] - 1), max(1, times[1] - 1))
    return keras.Sequential(
        [
            keras.Input(image_shape, dtype="float32"),
            *(
                layer
                for level, pool in enumerate(steps_of(pooled, least=2))
                for channels in [64 if level else 32]
                for layer in (
                    convolution(channels),
                    convolution(channels),
                    *(
                        [keras.layers.MaxPooling2D(pool, strides=pool, dtype=policy)]
                        if max(pool) > 1
                        else []
                    ),
                )
            ),
            convolution(128),
            keras.layers.Flatten(dtype=policy),
            keras.layers.Dense(max(1, round(width * 256)), activation="relu", dtype=policy),
        ],
        name="encoder",
    )


ENCODERS = {"table5": table5, "vgg": vgg}
