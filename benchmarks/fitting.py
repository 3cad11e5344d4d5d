"""What `robust` gets wrong of the images that it learnt from and of those that it did not: PGD end to end on both; no test image.

    python -m benchmarks.fitting --config=configs/published.py --workdir=runs/published --images=1000

As many wrong on the training images say that it has learnt too little; many more on the validation images, that it has learnt by heart.
"""

import argparse
from pathlib import Path

import numpy as np

from benchmarks.published import load_system


def main(arguments: argparse.Namespace) -> None:
    """Prints a line for each split: accuracy on clean and on attacked images, with 95% Wilson intervals."""
    from madvae_tf.attacks.descent import RestartedPGD
    from madvae_tf.data.prepare import to_float
    from madvae_tf.robustness import Suite, Trial, evaluate

    config, classifier, purifier, splits = load_system(arguments.config, arguments.workdir)
    epsilon, steps = config.robust.epsilon, arguments.steps
    # A purifier for both norms by the one that `epsilon` is of.
    norm = "l2" if config.robust.norm == "l2" else "linf"
    attack = RestartedPGD(
        norm=norm, epsilon=epsilon, iterations=steps, restarts=1, step_size=2 * epsilon / steps
    )
    print(
        f"PGD-{steps}, {norm} {epsilon:g}, end to end, n = {arguments.images} of each split, seed {config.seed}"
    )
    for name in ("train", "validation"):
        split = splits[name]
        rows = np.random.default_rng(config.seed).choice(len(split), arguments.images, replace=False)
        found = evaluate(
            lambda images: classifier(purifier.purify(images), training=False),
            *(to_float(split.images[rows]), split.labels[rows]),
            [Suite("fitting", (Trial("pgd", attack),))],
        )
        print(f"{name}\n{found.summary()}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/published.py")
    parser.add_argument("--workdir", type=Path, default=Path("runs/published"))
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=20)
    main(parser.parse_args())
