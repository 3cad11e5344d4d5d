"""A linear classifier of squares, as logits and as probabilities, and a defence that was fitted to
it.
"""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.attacks import FGSM, CarliniWagner, NoAttack

ATTACKS = (
    FGSM(epsilon=0.2),
    CarliniWagner(
        confidence=1.0,
        max_iterations=12,
        binary_search_steps=1,
        learning_rate=0.3,
        initial_const=5.0,
    ),
    NoAttack(),
)


def squares(n=40, seed=5):
    """Images uint8 (n, 28, 28, 1) of a bright square whose place tells the class, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    images = rng.integers(0, 60, (n, 28, 28, 1))
    for image, label in zip(images, labels, strict=True):
        image[2 * label : 2 * label + 8, 2 * label : 2 * label + 8] += 150
    return images.astype(np.uint8), labels


def templates():
    """float32 (784, 10): what each class lights up, with numbers on it so that no gradient is
    exactly zero.
    """
    weights = 0.02 * np.random.default_rng(1).standard_normal((28, 28, 10))
    for label in range(10):
        weights[2 * label : 2 * label + 8, 2 * label : 2 * label + 8, label] += 0.15
    return weights.reshape(784, 10).astype(np.float32)


def linear(activation=None):
    """The Keras model; `activation` "softmax" gives probabilities."""
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(10, activation=activation),
        ]
    )
    model.set_weights([templates(), np.zeros(10, np.float32)])
    return model


def as_function(images):
    """The same logits as a function of TensorFlow."""
    return tf.reshape(images, (-1, 784)) @ templates()


@pytest.fixture(scope="session")
def toy():
    """The names of this file."""
    return SimpleNamespace(**globals())


@pytest.fixture(scope="session")
def fitted():
    """(defense, classifier, its weights before): a combined purifier behind a classifier that gives
    probabilities.
    """
    images, labels = squares()
    classifier = linear("softmax")
    before = [np.array(weight) for weight in classifier.get_weights()]
    defense = madvae_tf.fit(
        classifier,
        images,
        labels,
        epochs=2,
        batch_size=16,
        latent_size=4,
        attacks=ATTACKS,
        images_per_attack=24,
        cw_iterations=3,
        attack_batch_size=8,
        precision="float32",
        verbose=0,
    )
    return defense, classifier, before
