"""What a step of `robust`'s training costs in new memory pages, and the system's time for them; random images.

    python -m benchmarks.pages
    python -m benchmarks.pages --generator

With --generator a tf.data generator is made first, as the generation of attacked images once did: TF 2.21's fixes glibc's threshold for allocations of
their own pages at 128 KiB, so that every larger tensor is new pages (`madvae_tf/data/generate.py`). Counts and CPU seconds, not wall time: other work on the machine changes these little.
"""

import argparse
import resource
from collections.abc import Sequence
from pathlib import Path

from madvae_tf.utils import console

# The first steps compile.
_FIRST = 3


def main(arguments: argparse.Namespace) -> None:
    """Prints a line: page faults, and CPU seconds in user and system mode, for each step."""
    import keras
    import numpy as np
    import tensorflow as tf

    from madvae_tf.defenses.files import load_keras
    from madvae_tf.training.inner_attack import InnerAttack
    from madvae_tf.training.robust import RobustTrainer

    if arguments.generator:
        signature = tf.TensorSpec((), tf.int64)
        list(tf.data.Dataset.from_generator(lambda: [0], output_signature=signature))  # noqa: TID251
    folder = Path("docs/weights/mnist-robust")
    purifier = load_keras(folder / "purifier.keras")
    purifier.trainable = True
    trainer = RobustTrainer(
        purifier,
        load_keras(folder / "classifier.keras"),
        {"kl": 1.0, "classification": 1.0},
        seed=0,
        attack=InnerAttack(),
    )
    trainer.compile(optimizer=keras.optimizers.Adam(1e-4))
    images = np.random.default_rng(0).random((64, 28, 28, 1), np.float32)
    batch = {"x": tf.constant(images), "label": tf.constant(np.arange(64) % 10)}
    step = tf.function(trainer.train_step)
    used = []
    for _ in range(_FIRST + arguments.steps):
        step(batch)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        used.append((usage.ru_minflt, usage.ru_utime, usage.ru_stime))
    faults, user, system = _each(used[_FIRST - 1], used[-1], arguments.steps)
    after = "after a generator" if arguments.generator else "without a generator"
    print(
        f"{after}: {faults:.0f} page faults, {user:.2f} s user, {system:.2f} s system for each of {arguments.steps} steps"
    )


def _each(before: Sequence[float], after: Sequence[float], steps: int) -> list[float]:
    return [(b - a) / steps for a, b in zip(before, after, strict=True)]


if __name__ == "__main__":
    console.quiet()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generator", action="store_true", help="make a tf.data generator first")
    parser.add_argument("--steps", type=int, default=10, help="measured steps")
    main(parser.parse_args())
