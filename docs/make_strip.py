"""Writes docs/images/strip.png: clean, attacked and purified digits: `python docs/make_strip.py`.

The first test image of each class; the models of docs/weights/mnist-robust; PGD, 40 steps,
L-infinity 0.3, seed 0. The unaware attacker attacks the classifier alone (threat model oblivious),
the aware one classifier and purifier together (end to end). The number in a corner is what the
classifier says of that image; a red frame marks an error. MNIST is fetched where it is not cached.
"""

import sys
from pathlib import Path

import numpy as np

from madvae_tf.utils import console

ROOT = Path(__file__).resolve().parents[1]


def main(target: Path) -> None:
    """Attacks, purifies and draws the ten images."""
    import madvae_tf
    from madvae_tf.attacks import PGD, DefendedModel, run_attack
    from madvae_tf.data.sources import DATASETS, fetch_idx
    from madvae_tf.report.drawing import settings
    from madvae_tf.report.strips import image_grid

    every, labels = madvae_tf.read_dataset(fetch_idx(DATASETS["mnist"]).folder, split="test")
    chosen = [int(np.flatnonzero(labels == digit)[0]) for digit in range(10)]
    clean, label = (every[chosen] / 255).astype(np.float32), labels[chosen]
    defense = madvae_tf.load(ROOT / "docs" / "weights" / "mnist-robust")
    attack = PGD(epsilon=0.3, iterations=40, step_size=0.01)

    def attacked(logits):
        model = DefendedModel(logits=logits)
        return run_attack(attack, model, clean, label, (0, 0), batch_size=10).x_adv

    def alone(images):
        return np.asarray(defense.classifier(images)).argmax(axis=1)

    unaware = attacked(defense.classifier)
    aware = attacked(lambda x: defense.classifier(defense.purifier.purify(x)))
    strips = [("Clean, classifier alone", clean, alone(clean))]
    for title, images in (("unaware of", unaware), ("aware of", aware)):
        strips += [
            (f"Attacked, attacker {title} the purifier", images, alone(images)),
            ("The same image, purified", defense.purify(images), defense.predict(images)),
        ]
    figure = image_grid(strips, label, 10)
    with settings():
        figure.savefig(target, dpi=200, facecolor="white", metadata={"Software": None})
    for name, images, predictions in strips:
        sys.stdout.write(f"{name}: {int((predictions == label).sum())} of {len(images)} right\n")


if __name__ == "__main__":
    console.quiet()
    parser = console.parser(__doc__ or "")
    parser.add_argument(
        "target", type=Path, nargs="?", default=ROOT / "docs" / "images" / "strip.png"
    )
    main(parser.parse_args().target)
