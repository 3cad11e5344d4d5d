"""What the layers of `madvae_tf.models.layers` and `.convolutions` gain over the stock ones: python
-m benchmarks.layers [batch]

Times forward and backward of each pair at the sizes where the purifier uses it, interleaved, and
prints the ratio.
"""

import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from madvae_tf.models import convolutions
from madvae_tf.models.layers import BatchNormalization, Crop2D
from madvae_tf.utils import console

RUNS = 15


def _convolution(kind: str, channels: int, size: int, stride: int) -> list[Callable]:
    """Ours and the stock one."""
    return [
        lambda at=at, **k: getattr(at, kind)(
            channels, size, stride, padding="same", use_bias=False, **k
        )
        for at in (convolutions, keras.layers)
    ]


# name -> (ours, stock), side and channels of the input
PAIRS: dict[str, tuple[list[Callable], int, int]] = {
    "crop 32 -> 28": (
        [lambda **k: Crop2D(2, **k), lambda **k: keras.layers.Cropping2D(2, **k)],
        32,
        64,
    ),
    "normalisation": (
        [
            BatchNormalization,
            lambda **k: keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **k),
        ],
        28,
        64,
    ),
    "conv 16 -> 8": (_convolution("Conv2D", 128, 4, 2), 16, 64),
    "conv 8 -> 4": (_convolution("Conv2D", 256, 4, 2), 8, 128),
    "transpose 4 -> 8": (_convolution("Conv2DTranspose", 128, 4, 2), 4, 256),
    "transpose 8 -> 16": (_convolution("Conv2DTranspose", 64, 4, 2), 8, 128),
    "transpose to 1": (_convolution("Conv2DTranspose", 1, 5, 1), 28, 64),
}


def step_of(layer: keras.layers.Layer, shape: tuple[int, ...], dtype: str):
    """A compiled forward and backward pass of `layer` on a random batch, to its inputs and weights."""  # noqa: E501
    images = tf.Variable(tf.random.stateless_normal(shape, (0, 1)))
    layer.build(shape)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = tf.cast(layer(tf.cast(images, dtype), training=True), tf.float32)
            loss = tf.reduce_sum(tf.square(outputs))
        wanted = [images, *(variable.value for variable in layer.trainable_variables)]
        return tf.add_n([tf.reduce_sum(gradient) for gradient in tape.gradient(loss, wanted)])

    step()
    return step


def main(batch: int) -> None:
    """Prints milliseconds (medians) and ratios, one line a pair and a precision."""
    for name, (kinds, side, channels) in PAIRS.items():
        for policy, dtype in (("float32", "float32"), ("mixed_bfloat16", "bfloat16")):
            steps = [
                step_of(kind(dtype=policy), (batch, side, side, channels), dtype) for kind in kinds
            ]
            times: list[list[float]] = [[], []]
            for _ in range(RUNS):
                for step, seconds in zip(steps, times, strict=True):
                    start = time.perf_counter()
                    step().numpy()
                    seconds.append(time.perf_counter() - start)
            ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
            mine, theirs = (1000 * statistics.median(t) for t in times)
            print(
                f"{name:17s} {policy:15s} ours {mine:7.1f} ms  stock {theirs:7.1f} ms  stock/ours"
                f" {ratio:5.2f}"
            )


if __name__ == "__main__":
    parser = console.parser(__doc__ or "", prog="python -m benchmarks.layers")
    parser.add_argument("batch", nargs="?", type=int, default=64)
    main(parser.parse_args().batch)
