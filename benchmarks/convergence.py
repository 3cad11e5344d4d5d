"""How far CW-L2 has converged, and what that leaves of purifiers: on validation images of a
finished run.

    python -m benchmarks.convergence --workdir=runs/quick --images=750 --searches=4x100,5x120

CW looks for the nearest image that fools the classifier; cut short it finds one farther away, which
is harder to purify. For each "searches x iterations" the rows are its seconds, success rate, mean
and median L2 distance, and the accuracy behind each variant (oblivious).
"""

import argparse
import dataclasses
import time
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.config.overrides import load_config
from madvae_tf.utils import console


def material(
    config: Any, workdir: Path, images: int
) -> tuple[Any, dict[str, Any], np.ndarray, np.ndarray]:
    """The classifier, the purifiers by variant, and validation images evenly spaced with their
    labels.
    """
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.prepare import load_splits, to_float
    from pipeline.engine.plan import plan, with_inputs
    from pipeline.graph.stages import build_stages
    from pipeline.steps.common import load_classifier, load_model

    graph = build_stages(config, "")
    steps = plan(with_inputs(graph["vae"]), workdir)
    folders = {(step.stage.stage, step.stage.instance): step.folder for step in steps}
    data, classifier = (folders[key] for key in folders if key[0] in ("data", "classifier"))
    purifiers = {
        variant: load_model(folders["vae", variant] / "purifier.keras")
        for variant in config.vae.variants
    }
    split = load_splits(config.data.name, data / "tfds", config.data.validation_images)[
        "validation"
    ]
    rows = evenly_spaced(len(split), images)
    return load_classifier(classifier), purifiers, to_float(split.images[rows]), split.labels[rows]


def main(arguments: argparse.Namespace) -> None:
    """Prints the table in Markdown."""
    from madvae_tf.attacks import ATTACKS, DefendedModel, run_attack
    from madvae_tf.evaluation.oblivious import batched

    config = load_config(arguments.config)
    classifier, purifiers, x, y = material(config, arguments.workdir, arguments.images)
    target = DefendedModel(logits=lambda images: classifier(images, training=False))
    attack = config.attack
    start = ATTACKS["cw"](
        confidence=attack.test_confidence,
        learning_rate=attack.cw_learning_rate,
        initial_const=attack.cw_initial_const,
    )
    print(
        f"n = {len(x)} validation images, confidence {attack.test_confidence:g}, seed"
        f" {config.seed}, oblivious\n"
    )
    print(
        "| searches x iterations | s | success | mean L2 | median L2 | "
        + " | ".join(purifiers)
        + " |"
    )
    print("|---" * (5 + len(purifiers)) + "|")
    for word in arguments.searches.split(","):
        searches, iterations = map(int, word.split("x"))
        cw = dataclasses.replace(start, binary_search_steps=searches, max_iterations=iterations)
        begin = time.perf_counter()
        attacked = run_attack(cw, target, x, y, (config.seed, 0)).x_adv
        seconds = time.perf_counter() - begin
        distance = np.sqrt(np.square(attacked - x).sum((1, 2, 3)))
        success = (batched(classifier, attacked, 250).argmax(1) != y).mean()
        right = [
            (
                batched(
                    lambda images, purify=purify: classifier(purify(images)), attacked, 250
                ).argmax(1)
                == y
            ).mean()
            for purify in purifiers.values()
        ]
        numbers = (success, distance.mean(), np.median(distance), *right)
        cells = " | ".join(f"{number:.4f}" for number in numbers)
        print(f"| {searches} x {iterations} | {seconds:.0f} | {cells} |", flush=True)


if __name__ == "__main__":
    console.quiet()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/quick.py")
    parser.add_argument("--workdir", type=Path, default=Path("runs/quick"))
    parser.add_argument("--images", type=int, default=750)
    parser.add_argument("--searches", default="4x100,5x120")
    main(parser.parse_args())
