"""What the attack of `robust`'s training finds, by its steps and whether they grow shorter; validation images, no test image.

    python -m benchmarks.inner --config=configs/published.py --workdir=runs/published --images=500

Each line is one attack of `training.robust` on the whole system: accuracy of the images under it, with its 95% Wilson interval. What many steps find
and few do not is what a training against few does not learn.
"""

import argparse
import dataclasses

import numpy as np

from benchmarks.system import draw_images, load_system, make_parser
from madvae_tf.utils import console

STEPS = (2, 5, 10, 20)
_BATCH = 100


def main(arguments: argparse.Namespace) -> None:
    """Prints a line for each number of steps and kind of them."""
    import tensorflow as tf

    from madvae_tf.evaluation.intervals import wilson_interval
    from madvae_tf.training.inner_attack import InnerAttack
    from madvae_tf.training.robust import RobustTrainer

    config, classifier, purifier, splits = load_system(arguments)
    own, n = config.robust, arguments.images
    x, label = draw_images(splits["validation"], n, config.seed)
    kept = ("epsilon", "norm", "l2_epsilon", "threshold_l2", "norm_mix")
    attack = InnerAttack(**{name: getattr(own, name) for name in kept})
    print(f"{own.norm} {own.epsilon:g}, end to end, n = {n} validation images, seed {config.seed}")
    for steps in STEPS:
        for decaying_steps in (False, True):
            ratio = 2.0 if decaying_steps and own.norm == "l2" else 1.25
            kind = dataclasses.replace(attack, step_ratio=ratio, decaying_steps=decaying_steps)
            trainer = RobustTrainer(purifier, classifier, {}, config.seed, kind)
            attacked = tf.function(trainer.attacked)
            right = 0
            for start in range(0, n, _BATCH):
                part = slice(start, start + _BATCH)
                # A tensor: of Python numbers each would be a trace of its own.
                seed = tf.constant([config.seed, start])
                x_adv = attacked(purifier, x[part], label[part], own.epsilon, steps, seed)
                answers = np.argmax(classifier(purifier.purify(x_adv), training=False), axis=1)
                right += int(np.sum(answers == label[part]))
            low, high = wilson_interval(right, n)
            lengths = "ever shorter" if decaying_steps else "of one length"
            print(
                f"{steps:3d} steps {lengths:13s} (ratio {ratio:g})  {right / n:.3f} ({low:.3f}–{high:.3f})",
                flush=True,
            )


if __name__ == "__main__":
    console.quiet()
    main(make_parser(__doc__, 500).parse_args())
