"""What the layers of `madvae_tf.models.layers` gain over the stock ones: python benchmarks/layers.py [batch]

Times forward and backward of each pair at the size where the purifier uses it, interleaved, and prints the ratio.
"""

import statistics
import sys
import time

import keras
import tensorflow as tf

from madvae_tf.models.layers import BatchNormalization, Crop2D

RUNS = 15


def step_of(layer: keras.layers.Layer, shape: tuple[int, ...], dtype: str):
    """A compiled forward and backward pass of `layer` on a random batch."""
    images = tf.Variable(tf.random.stateless_normal(shape, (0, 1)))
    layer.build(shape)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            outputs = tf.cast(layer(tf.cast(images, dtype), training=True), tf.float32)
            loss = tf.reduce_sum(tf.square(outputs))
        return tf.reduce_sum(tape.gradient(loss, images))

    step()
    return step


def main(batch: int) -> None:
    """Prints milliseconds (medians) and ratios, one line a pair and a precision."""
    pairs = {
        "crop 32 -> 28": (lambda **k: Crop2D(2, **k), lambda **k: keras.layers.Cropping2D(2, **k), 32),
        "normalisation": (
            BatchNormalization,
            lambda **k: keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **k),
            28,
        ),
    }
    for name, (ours, stock, size) in pairs.items():
        for policy, dtype in (("float32", "float32"), ("mixed_bfloat16", "bfloat16")):
            steps = [step_of(make(dtype=policy), (batch, size, size, 64), dtype) for make in (ours, stock)]
            times: list[list[float]] = [[], []]
            for _ in range(RUNS):
                for step, seconds in zip(steps, times, strict=True):
                    start = time.perf_counter()
                    step().numpy()
                    seconds.append(time.perf_counter() - start)
            ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
            mine, theirs = (1000 * statistics.median(t) for t in times)
            print(
                f"{name:15s} {policy:15s} ours {mine:7.1f} ms  stock {theirs:7.1f} ms  stock/ours {ratio:5.2f}"
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 64)
