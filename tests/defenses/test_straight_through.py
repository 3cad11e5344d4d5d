"""BPDA through the squash: the system's logits, and a gradient that is the exact one without the
squash's slope.
"""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.purifier import load_purifier
from madvae_tf.models.vae import DefenseVAE

WEIGHTS = Path(__file__).parents[2] / "docs" / "weights" / "mnist-robust"
LABELS = tf.constant([3, 1, 4, 1])


@pytest.fixture(scope="module")
def classifier():
    return load_keras(WEIGHTS / "classifier.keras")


def gradient(logits, images):
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.keras.losses.sparse_categorical_crossentropy(
            LABELS, logits(images), from_logits=True
        )
    return tape.gradient(loss, images).numpy()


def images_of(rng):
    return tf.constant(rng.uniform(size=(4, 28, 28, 1)).astype(np.float32))


def test_it_is_the_exact_gradient_over_the_slope_of_the_squash(tmp_path, classifier):
    purifier = DefenseVAE(6, squash_scale=8.0, squash_center=0.4)
    purifier.save(tmp_path / "purifier.keras")
    system = load_purifier(tmp_path, classifier)
    images = images_of(np.random.default_rng(0))
    np.testing.assert_allclose(system.straight_through(images), system.logits(images), rtol=1e-6)
    s = 1 / (1 + np.exp(-8 * (images.numpy().astype(np.float64) - 0.4)))
    exact = gradient(system.logits, images)
    assert np.abs(exact).max() > 0
    found = gradient(system.straight_through, images)
    np.testing.assert_allclose(
        found * 8 * s * (1 - s), exact, rtol=0, atol=1e-4 * np.abs(exact).max()
    )


def test_a_purifier_without_a_squash_has_none(tmp_path, classifier):
    DefenseVAE(6).save(tmp_path / "purifier.keras")
    assert load_purifier(tmp_path, classifier).straight_through is None


def test_no_sign_of_the_published_robusts_gradient_is_lost_in_its_squash(classifier):
    """A sign step in L-infinity is the same step, through the squash and around it: of k = 38, too,
    and at black and white pixels.
    """
    system = load_purifier(WEIGHTS, classifier)
    rng = np.random.default_rng(1)
    # Mostly black and white, as digits are, and what a step makes of them.
    images = np.where(rng.uniform(size=(4, 28, 28, 1)) < 0.8, 0.0, 1.0).astype(np.float32)
    images = np.clip(images + rng.choice([-0.3, 0.0, 0.1, 0.3], images.shape), 0, 1).astype(
        np.float32
    )
    exact, straight = (
        gradient(f, tf.constant(images)) for f in (system.logits, system.straight_through)
    )
    assert (np.sign(exact) == np.sign(straight)).all() and (exact != 0).mean() > 0.999
