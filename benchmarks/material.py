"""What the attacks' rows share: the weights of the Table 6 classifier that `configs/quick.py`
trains, and test images.

One .npz file, so that the peers' environment needs neither TensorFlow nor this project's models:
`w0`, `w1`, ... are kernel and bias of each layer in their order, `images` uint8 (n, 28, 28, 1) and
`labels` int64 (n,) the test images that the attacks get; `train_images` and `train_labels` are what
is trained on where images matter.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.worker import ROOT

TEST_IMAGES, TRAIN_IMAGES = 1000, 16_000


def entries_of(weights: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What `weights_in` reads: name in the file -> weights."""
    return {f"w{k}": np.asarray(weight) for k, weight in enumerate(weights)}


def weights_in(material: Any) -> list[np.ndarray]:
    """The weights of a loaded material, in order."""
    return [material[f"w{k}"] for k in range(sum(name.startswith("w") for name in material.files))]


def make_material(path: Path, workdir: Path) -> None:
    """Writes `path`, from the classifier and the data of `workdir`; the pipeline makes them there
    if they are missing.

    Raises:
        subprocess.CalledProcessError: the pipeline failed; its messages are on standard error.
    """
    command = [sys.executable, "-m", "pipeline.run", "--stage=classifier", f"--workdir={workdir}"]
    subprocess.run(command, cwd=ROOT, check=True)
    code = "import sys; from benchmarks.material import write; write(*sys.argv[1:])"
    subprocess.run([sys.executable, "-c", code, str(path), str(workdir)], cwd=ROOT, check=True)


def write(path: str, workdir: str) -> None:
    """Reads the finished artifacts of `workdir` and writes the .npz file (in a process that may
    load TensorFlow).
    """
    from madvae_tf.config import Config
    from madvae_tf.config.overrides import load_config
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.prepare import load_splits
    from pipeline.engine.plan import plan
    from pipeline.graph.stages import build_stages
    from pipeline.steps.common import load_classifier

    config: Config = load_config("configs/quick.py")
    graph = build_stages(config, "")
    data, classifier = (
        step.folder for step in plan([*graph["data"], *graph["classifier"]], workdir)
    )
    splits = load_splits(config.data.name, data / "tfds", config.data.validation_images)
    weights = load_classifier(classifier).get_weights()
    test, train = splits["test"], splits["train"]
    rows = evenly_spaced(len(test), TEST_IMAGES)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    partial = Path(path).with_suffix(".partial.npz")
    np.savez(
        partial,
        images=test.images[rows],
        labels=test.labels[rows],
        train_images=train.images[:TRAIN_IMAGES],
        train_labels=train.labels[:TRAIN_IMAGES],
        **entries_of(weights),
    )
    partial.replace(path)
