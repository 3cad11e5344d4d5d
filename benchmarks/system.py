"""The defended system of a configuration whose `robust` a workdir holds, for benchmarks that ask
what it withstands.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.config import Config
from madvae_tf.config.overrides import load_config, override


def load_system(arguments: argparse.Namespace) -> tuple[Config, Any, Any, dict[str, Any]]:
    """The configuration that `make_parser`'s arguments name, its classifier, its `robust` and the
    splits of its images.
    """
    from madvae_tf.data.prepare import load_splits
    from pipeline.engine.plan import plan, with_inputs
    from pipeline.graph.stages import build_stages
    from pipeline.steps.common import load_classifier, load_model

    config = override(load_config(arguments.config), arguments.set)
    robust = [stage for stage in build_stages(config, "")["vae"] if stage.instance == "robust"]
    folders = {
        step.stage.stage: step.folder for step in plan(with_inputs(robust), arguments.workdir)
    }
    return (
        config,
        load_classifier(folders["classifier"]),
        load_model(folders["vae"] / "purifier.keras"),
        load_splits(config.data.name, folders["data"] / "tfds", config.data.validation_images),
    )


def draw_images(split: Any, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """`count` images of a split, float32 (count, 28, 28, 1) in [0, 1], and their labels, int64
    (count,); the same for a seed.
    """
    from madvae_tf.data.prepare import to_float

    rows = np.random.default_rng(seed).choice(len(split), count, replace=False)
    return to_float(split.images[rows]), split.labels[rows].astype(np.int64)


def attacked_test_images(
    config: Config, splits: dict[str, Any], count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`count` of the test images that the pipeline's robustness stages attack, evenly spaced, their
    labels, int64 (count,), and their rows among those.
    """
    from madvae_tf.data.batches import evenly_spaced
    from pipeline.steps.robustness import attacked_images

    images, labels = attacked_images(splits["test"], config.robustness.images, config.seed)
    picked = evenly_spaced(len(images), count)
    return images[picked], labels[picked].astype(np.int64), picked


def make_pgd(config: Config, steps: int) -> Any:
    """PGD of `steps` steps within what `robust` was trained against, end to end; for both norms
    within the one that `epsilon` is of.
    """
    from madvae_tf.attacks.descent import RestartedPGD

    norm, epsilon = "l2" if config.robust.norm == "l2" else "linf", config.robust.epsilon
    return RestartedPGD(
        norm=norm, epsilon=epsilon, iterations=steps, restarts=1, step_size=2 * epsilon / steps
    )


def make_parser(description: str | None, images: int) -> argparse.ArgumentParser:
    """--config, --set and --workdir of the system, as of the run that made it, and --images, how
    many are attacked.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/published.py")
    parser.add_argument(
        "--set", action="append", default=[], help="section.field=value, as in pipeline.run"
    )
    parser.add_argument("--workdir", type=Path, default=Path("runs/published"))
    parser.add_argument("--images", type=int, default=images)
    return parser
