"""Tiny inputs to train a defence from, and the check that a kill changes nothing in what it writes."""  # noqa: E501

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from madvae_tf.data.prepare import Split, to_float
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras
from madvae_tf.models.classifiers import CLASSIFIERS
from madvae_tf.training import scaffold
from madvae_tf.training.callbacks import Progress
from tests.small import SmallClassifier


class TinyPairs:
    """A split's images with noise on them, each beside itself."""

    fields = ("x_adv", "x", "label")
    image_shape = (28, 28, 1)

    def __init__(self, split):
        self.x, self.label = to_float(split.images), split.labels
        noise = np.random.default_rng(1).uniform(-0.3, 0.3, self.x.shape).astype(np.float32)
        self.x_adv = np.clip(self.x + noise, 0, 1)

    def __len__(self):
        return len(self.label)

    def batch(self, rows):
        return tuple(getattr(self, field)[rows] for field in self.fields)


class Killed(Exception):
    """What stands for a kill."""


def _split(n, seed):
    """Squares whose place tells their class, under a little noise; uint8."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, n)
    images = generator.integers(0, 40, (n, 28, 28, 1))
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 8, 2 * label : 2 * label + 8] += 180
    return Split(images.astype(np.uint8), labels)


@pytest.fixture
def inputs(monkeypatch) -> Callable[..., TrainingInputs]:
    """scratch folder, further fields -> 40 training and 24 validation images, pairs of them, and a
    tiny classifier.
    """
    monkeypatch.setitem(CLASSIFIERS, "tiny", SmallClassifier)
    train, validation = _split(40, 3), _split(24, 4)
    keras.utils.set_random_seed(2)
    classifier = SmallClassifier(dropout=0.3)
    classifier.trainable = False

    def make(scratch: Path, **more) -> TrainingInputs:
        fields = {
            "train": train,
            "validation": validation,
            "pairs": TinyPairs(train),
            "validation_pairs": TinyPairs(validation),
            "classifier": classifier,
            "classifier_name": "tiny",
            "seed": 5,
            "precision": "float32",
            "scratch": scratch,
        }
        return TrainingInputs(**(fields | more))

    return make


@pytest.fixture
def trained(monkeypatch, tmp_path) -> Callable[..., Path]:
    """Trains a defence and returns its folder; a step to be killed after, counted from 0, or None."""  # noqa: E501

    def run(defense: Defense, inputs, name: str, kill: int | None = None, **more) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)

        class Killing(Progress):
            def on_train_batch_end(self, batch, logs=None):
                super().on_train_batch_end(batch, logs)
                if batch == kill:
                    self.bar.close()
                    raise Killed

        monkeypatch.setattr(scaffold, "Progress", Killing)
        monkeypatch.setattr(scaffold, "CHECKPOINT_STEPS", 4)
        monkeypatch.setattr(scaffold, "LOG_STEPS", 2)
        if kill is None:
            defense.train(inputs(tmp_path / f"{name} scratch", **more), folder)
        else:
            with pytest.raises(Killed):
                defense.train(inputs(tmp_path / f"{name} scratch", **more), folder)
        return folder

    return run


@pytest.fixture
def assert_a_kill_changes_nothing(trained) -> Callable[..., Path]:
    """Trains unbroken, and killed between two checkpoints; files must be those of each other.
    Returns the folder.
    """

    def check(defense: Defense, inputs, kill: int, **more) -> Path:
        whole = trained(defense, inputs, "unbroken", **more)
        broken = trained(defense, inputs, "broken", kill, **more)
        # No model of the training is there yet, and there is a checkpoint to go on from.
        assert (broken / "log.csv").exists() and list(
            (broken.parent / "broken scratch").rglob("*.index")
        )
        trained(defense, inputs, "broken", **more)
        names = {path.name for path in whole.iterdir() if path.is_file()}
        assert names == {path.name for path in broken.iterdir() if path.is_file()}
        for name in names:
            if name.endswith(".keras"):
                one, other = (load_keras(folder / name).get_weights() for folder in (whole, broken))
                assert one and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
            else:
                assert (whole / name).read_bytes() == (broken / name).read_bytes()
        return whole

    return check
