"""What the attack of `robust`'s training finds, by its steps and whether they grow shorter; validation images, no test image.

    python -m benchmarks.inner --config=configs/published.py --workdir=runs/published --images=500

Each line is one attack of `training.robust` on the whole system: accuracy of the images under it, with its 95% Wilson interval. What many steps find
and few do not is what a training against few does not learn.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from benchmarks.published import load_system

STEPS = (2, 5, 10, 20)
_BATCH = 100


def main(arguments: argparse.Namespace) -> None:
    """Prints a line for each number of steps and kind of them."""
    import tensorflow as tf

    from madvae_tf.data.prepare import to_float
    from madvae_tf.evaluate import wilson_interval
    from madvae_tf.training.robust import InnerAttack, RobustTrainer

    config, classifier, purifier, splits = load_system(arguments.config, arguments.workdir)
    own, split, n = config.robust, splits["validation"], arguments.images
    rows = np.random.default_rng(config.seed).choice(len(split), n, replace=False)
    x, label = to_float(split.images[rows]), split.labels[rows].astype(np.int64)
    attack = InnerAttack(epsilon=own.epsilon, norm=own.norm, l2_epsilon=own.l2_epsilon, crossing=own.crossing)
    print(f"{own.norm} {own.epsilon:g}, end to end, n = {n} validation images, seed {config.seed}")
    for steps in STEPS:
        for falling in (False, True):
            ratio = 2.0 if falling and own.norm == "l2" else 1.25
            kind = dataclasses.replace(attack, step_ratio=ratio, falling=falling)
            trainer = RobustTrainer(purifier, classifier, {}, config.seed, kind)
            attacked = tf.function(trainer.attacked)
            right = 0
            for start in range(0, n, _BATCH):
                part = slice(start, start + _BATCH)
                x_adv = attacked(purifier, x[part], label[part], own.epsilon, steps, (config.seed, start))
                answers = np.argmax(classifier(purifier.purify(x_adv), training=False), axis=1)
                right += int(np.sum(answers == label[part]))
            low, high = wilson_interval(right, n)
            lengths = "ever shorter" if falling else "of one length"
            print(
                f"{steps:3d} steps {lengths:13s} (ratio {ratio:g})  {right / n:.3f} ({low:.3f}–{high:.3f})",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/published.py")
    parser.add_argument("--workdir", type=Path, default=Path("runs/published"))
    parser.add_argument("--images", type=int, default=500)
    main(parser.parse_args())
