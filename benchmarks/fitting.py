"""What `robust` gets wrong of the images that it learnt from and of those that it did not: PGD end to end on both; no test image.

    python -m benchmarks.fitting --config=configs/published.py --workdir=runs/published --images=1000

As many wrong on the training images say that it has learnt too little; many more on the validation images, that it has learnt by heart.
"""

import argparse

from benchmarks.system import draw_images, load_system, make_parser, make_pgd
from madvae_tf.utils import console


def main(arguments: argparse.Namespace) -> None:
    """Prints a line for each split: accuracy on clean and on attacked images, with 95% Wilson intervals."""
    from madvae_tf.evaluation import Suite, Trial, evaluate

    config, classifier, purifier, splits = load_system(arguments)
    attack = make_pgd(config, arguments.steps)
    print(
        f"PGD-{arguments.steps}, {attack.norm} {attack.epsilon:g}, end to end, n = {arguments.images} of each split, seed {config.seed}"
    )
    for name in ("train", "validation"):
        found = evaluate(
            lambda images: classifier(purifier.purify(images), training=False),
            *draw_images(splits[name], arguments.images, config.seed),
            [Suite("fitting", (Trial("pgd", attack),))],
        )
        print(f"{name}\n{found.summary()}", flush=True)


if __name__ == "__main__":
    console.quiet()
    parser = make_parser(__doc__, 1000)
    parser.add_argument("--steps", type=int, default=20)
    main(parser.parse_args())
