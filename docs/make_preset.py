"""Makes a preset of trained weights, with figures that are measured now.

    python docs/make_preset.py madvae_tf/presets/mnist-linf0.3 PURIFIER.keras CLASSIFIER.keras \\
        --dataset=mnist --threat=linf:0.3 --n=1000 --to_disk=docs/leaderboard

Weights are rounded as `make_weights` does; AutoAttack's standard set then meets the rounded ones,
end to end. Stopped, the same command goes on.
"""

import sys
from pathlib import Path

from make_weights import rounded

from madvae_tf.utils import console


def main(arguments: list[str]) -> None:
    """Measures, then writes the folder."""
    parser = console.parser(__doc__ or "")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("purifier", type=console.existing_file, metavar="PURIFIER.keras")
    parser.add_argument("classifier", type=console.existing_file, metavar="CLASSIFIER.keras")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--threat", default="linf:0.3")
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--to_disk", default="docs/leaderboard")
    parser.add_argument("--text", default="", help="further paragraphs of the card")
    given = parser.parse_args(arguments)
    import madvae_tf
    from madvae_tf.api.fitted import FittedDefense
    from madvae_tf.api.saving import probes
    from madvae_tf.defenses.files import load_keras
    from madvae_tf.models.external_classifier import adapt

    purifier, classifier = (load_keras(path) for path in (given.purifier, given.classifier))
    for model in (purifier, classifier):
        model.set_weights([rounded(weights) for weights in model.get_weights()])
    adapted = adapt(classifier, probes(purifier.image_shape))
    defense = FittedDefense(purifier, adapted, {"variant": "robust"})
    found = madvae_tf.benchmark(
        defense,
        given.dataset,
        given.threat,
        given.n,
        name=given.folder.name,
        to_disk=given.to_disk,
        architecture="VAE purifier before a convolutional classifier",
    )
    defense.save_to_preset(
        given.folder, dataset=given.dataset, evaluation=found.evaluation, text=given.text
    )
    sys.stdout.write(f"{found.evaluation.summary()}\n")


if __name__ == "__main__":
    console.quiet()
    main(sys.argv[1:])
