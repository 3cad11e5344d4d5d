"""Whether `robust` withstands more when it purifies an image in five places, moved by up to a pixel; PGD end to end; validation images, no test image.

    python -m benchmarks.shifted --config=configs/published.py --workdir=runs/published --images=500

It has learnt from moved images, so the five are nearly as many opinions. The attacker goes through all of them.
"""

import argparse

from benchmarks.system import draw_images, load_system, make_parser, make_pgd
from madvae_tf.utils import console

_PLACES = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))


def main(arguments: argparse.Namespace) -> None:
    """Prints accuracy, clean and attacked, of one place, of the five's mean purified image and of their mean log-probabilities."""
    import tensorflow as tf

    from madvae_tf.evaluation import Suite, Trial, evaluate

    config, classifier, purifier, splits = load_system(arguments)
    attack = make_pgd(config, arguments.steps)
    images, labels = draw_images(splits["validation"], arguments.images, config.seed)

    def purified(x: tf.Tensor) -> list[tf.Tensor]:
        """What the purifier makes of the image in each place, moved back."""
        moved = tf.concat([tf.roll(x, place, axis=(1, 2)) for place in _PLACES], axis=0)
        parts = tf.split(purifier.purify(moved), len(_PLACES), axis=0)
        return [
            tf.roll(part, (-down, -right), axis=(1, 2))
            for part, (down, right) in zip(parts, _PLACES, strict=True)
        ]

    def opinions(x: tf.Tensor) -> tf.Tensor:
        logits = classifier(tf.concat(purified(x), axis=0), training=False)
        return tf.reduce_mean(tf.stack(tf.split(tf.nn.log_softmax(logits), len(_PLACES))), axis=0)

    systems = {
        "one place": lambda x: classifier(purifier.purify(x), training=False),
        "the five's mean image": lambda x: classifier(tf.add_n(purified(x)) / len(_PLACES), training=False),
        "their mean log-probabilities": opinions,
    }
    print(
        f"PGD-{arguments.steps}, {attack.norm} {attack.epsilon:g}, end to end, n = {arguments.images} validation images, seed {config.seed}"
    )
    for name, logits in systems.items():
        found = evaluate(logits, images, labels, [Suite("shifted", (Trial("pgd", attack),))])
        print(f"{name}\n{found.summary()}", flush=True)


if __name__ == "__main__":
    console.quiet()
    parser = make_parser(__doc__, 500)
    parser.add_argument("--steps", type=int, default=20)
    main(parser.parse_args())
