"""What `FusedAdam` gains over Keras' Adam on the purifier's weights: python -m benchmarks.adam

One step each in turns, processor milliseconds (medians), so that a busy machine disturbs it little; and the largest difference of
the weights after all steps.
"""

import statistics
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.optimizers import FusedAdam
from madvae_tf.utils import console

ROUNDS, STEPS = 15, 5


def contestant(
    kind: type[keras.optimizers.Adam], shapes: list[tuple[int, ...]]
) -> tuple[Callable[[], None], list]:
    """A compiled step on gradients that change with the steps, and its variables."""
    variables = [keras.Variable(tf.random.stateless_normal(shape, (0, k))) for k, shape in enumerate(shapes)]
    gradients = [tf.random.stateless_normal(shape, (1, k)) for k, shape in enumerate(shapes)]
    optimizer = kind(1e-3)
    optimizer.build(variables)

    @tf.function
    def step() -> None:
        scale = tf.sin(tf.cast(optimizer.iterations, tf.float32) + 1.0)
        optimizer.apply_gradients([(scale * g, v) for g, v in zip(gradients, variables, strict=True)])

    step()
    return step, variables


def main() -> None:
    """Prints one line."""
    shapes = [tuple(weight.shape) for weight in DefenseVAE().trainable_variables]
    made = [contestant(kind, shapes) for kind in (FusedAdam, keras.optimizers.Adam)]
    times: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for (step, _), seconds in zip(made, times, strict=True):
            start = time.process_time()
            for _ in range(STEPS):
                step()
            seconds.append((time.process_time() - start) / STEPS)
    ours, stock = (1000 * statistics.median(seconds) for seconds in times)
    ratio = statistics.median(b / a for a, b in zip(*times, strict=True))
    farthest = max(
        float(tf.reduce_max(tf.abs(tf.convert_to_tensor(a) - tf.convert_to_tensor(b))))
        for a, b in zip(made[0][1], made[1][1], strict=True)
    )
    print(
        f"fused {ours:.1f} ms  stock {stock:.1f} ms  stock/fused {ratio:.2f}  largest difference {farthest:.1e}"
    )


if __name__ == "__main__":
    console.parser(__doc__ or "", prog="python -m benchmarks.adam").parse_args()
    main()
