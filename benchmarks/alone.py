"""Each attack of AutoAttack standard on its own, not on what the former left, on the classifier alone, where it must succeed.

    python -m benchmarks.alone --config=configs/published.py --workdir=runs/published --images=100 --epsilon=0.3

In the sequence the first attack leaves nothing of an undefended classifier, so that the others show nothing there.
Test images of the pipeline's robustness stages, evenly spaced.
"""

import argparse

from benchmarks.system import attacked_test_images, load_system, make_parser
from madvae_tf.utils import console


def main(arguments: argparse.Namespace) -> None:
    """Prints a line for each attack: what it leaves, with a 95% Wilson interval."""
    from madvae_tf.evaluation import Suite, auto_attack, evaluate

    config, classifier, _, splits = load_system(arguments)
    images, labels, _ = attacked_test_images(config, splits, arguments.images)
    standard = auto_attack(arguments.norm, arguments.epsilon)
    print(
        f"classifier alone, {arguments.norm} {arguments.epsilon:g}, end to end, n = {len(images)} test images, seed {config.seed}"
    )
    found = evaluate(
        lambda x: classifier(x, training=False),
        images,
        labels,
        [Suite("alone", standard.trials)],
        seed=config.seed,
    )
    print(found.summary())


if __name__ == "__main__":
    console.quiet()
    parser = make_parser(__doc__, 100)
    parser.add_argument("--norm", choices=("linf", "l2"), default="linf")
    parser.add_argument("--epsilon", type=float, default=0.3)
    main(parser.parse_args())
