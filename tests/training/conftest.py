"""Tiny data, small trainers, and a callback that stands for a kill."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from madvae_tf.config.variants import weights_of
from madvae_tf.training.classifier import ClassifierTrainer
from madvae_tf.training.defense import DefenseTrainer
from madvae_tf.training.inner_attack import InnerAttack
from madvae_tf.training.robust import RobustTrainer
from tests.small import SmallClassifier, SmallVAE

WEIGHTS = {
    "alpha": 0.1,
    "beta": 0.1,
    "gamma": 0.2,
    "proximity": 0.01,
    "sigma": 1e-3,
    "classification": 0.3,
}


class TinyPairs:
    """Forty blurred squares, one place a class, and noisy copies of them."""

    fields = ("x_adv", "x", "label")
    image_shape = (28, 28, 1)

    def __init__(self, n=40):
        rng = np.random.default_rng(5)
        self.label = rng.integers(0, 10, n)
        self.x = np.zeros((n, 28, 28, 1), np.float32)
        for image, label in zip(self.x, self.label, strict=True):
            image[2 * label : 2 * label + 8, 2 * label : 2 * label + 8] = 0.9
        noise = rng.uniform(-0.3, 0.3, self.x.shape).astype(np.float32)
        self.x_adv = np.clip(self.x + noise, 0, 1)

    def __len__(self):
        return len(self.label)

    def batch(self, rows):
        return tuple(getattr(self, field)[rows] for field in self.fields)


class Killed(Exception):
    """What stands for a kill."""


class KillAfter(keras.callbacks.Callback):
    """Raises `Killed` at the end of step `step`, counted from 0, before its checkpoint."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def on_train_batch_end(self, batch, logs=None):
        if batch == self.step:
            raise Killed


def make_classifier(optimizer=None, seed=3):
    keras.utils.set_random_seed(seed)
    trainer = ClassifierTrainer(SmallClassifier(dropout=0.5), max_shift=2, seed=11)
    trainer.compile(optimizer=optimizer or keras.optimizers.Adam(1e-3))
    return trainer


def make_purifier(variant="combined", optimizer=None, seed=3, clip_norm=1.0):
    keras.utils.set_random_seed(1)
    classifier = SmallClassifier()
    keras.utils.set_random_seed(seed)
    trainer = DefenseTrainer(
        SmallVAE(6), classifier, weights_of(variant, WEIGHTS), seed=11, clip_norm=clip_norm
    )
    trainer.compile(optimizer=optimizer or keras.optimizers.Adam(1e-3))
    return trainer


def make_robust(
    optimizer=None,
    seed=3,
    clip_norm=1.0,
    scale=10.0,
    attack=None,
    consistency=0.0,
    noise_seed=11,
    **settings,
):
    keras.utils.set_random_seed(1)
    classifier = SmallClassifier()
    keras.utils.set_random_seed(seed)
    weights = weights_of("robust", WEIGHTS) | ({"consistency": consistency} if consistency else {})
    purifier = SmallVAE(6, squash_scale=scale)
    attack = attack or InnerAttack()
    trainer = RobustTrainer(
        purifier, classifier, weights, noise_seed, attack, clip_norm, **settings
    )
    trainer.compile(optimizer=optimizer or keras.optimizers.Adam(1e-3))
    return trainer


MAKERS = {"classifier": make_classifier, "purifier": make_purifier}


def state(trainer):
    """Every number that a checkpoint must carry: weights, centres, statistics, the optimizer's
    moments and step.
    """
    return [np.array(variable) for variable in (*trainer.weights, *trainer.optimizer.variables)]


@pytest.fixture(scope="session")
def tiny():
    """The names of this file."""
    return SimpleNamespace(**globals())


@pytest.fixture(scope="session")
def pairs():
    return TinyPairs()


@pytest.fixture
def batch(pairs):
    """One batch of 16 as the trainers take it."""
    return dict(zip(pairs.fields, pairs.batch(np.arange(16)), strict=True))
