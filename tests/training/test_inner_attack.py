"""The attack of a training step: where it stays, what it reaches, and which norms it has."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.defenses.robust import Robust
from madvae_tf.training.classifier import build_classifier
from madvae_tf.training.inner_attack import InnerAttack, attack_within
from madvae_tf.utils.errors import UserError


def norms(difference):
    return np.sqrt((difference.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))


@pytest.fixture(scope="module")
def classifier():
    keras.utils.set_random_seed(1)
    return build_classifier("table6", 0.0, "float32")


@pytest.mark.parametrize(("norm", "epsilon"), [("l2", 2.0), ("both", 0.3)])
def test_the_attack_stays_within_and_beats_noise(batch, classifier, norm, epsilon):
    attack = InnerAttack(epsilon, norm=norm)
    noisy, attacked = (
        attack_within(
            classifier.logits,
            batch["x"],
            batch["label"],
            epsilon,
            epsilon / 4,
            steps,
            (3, 1),
            attack.perturbation_set,
        ).numpy()
        for steps in (0, 7)
    )
    in_l2 = np.arange(len(attacked)) % 2 == 1 if norm == "both" else np.ones(len(attacked), bool)
    for images in (noisy, attacked):
        assert images.min() >= 0 and images.max() <= 1
        assert (norms(images - batch["x"])[in_l2] <= 2.0 + 1e-4).all()
        assert (np.abs(images - batch["x"])[~in_l2] <= 0.3 + 1e-6).all()
    before, after = (
        tf.nn.sparse_softmax_cross_entropy_with_logits(batch["label"], classifier(images)).numpy()
        for images in (noisy, attacked)
    )
    assert (after > before).all()


def test_norms_are_checked():
    with pytest.raises(UserError, match="expected linf, l2 or both"):
        Robust(norm="inf")
    with pytest.raises(UserError, match="received 2.0, expected at most 1"):
        Robust(epsilon=2.0)
    assert Robust(norm="l2", epsilon=2.0).epsilon == 2.0
    for settings in ({"norm": "linf"}, {"norm": "both", "scale": 0.0}):
        with pytest.raises(UserError, match="with threshold_l2"):
            Robust(threshold_l2=True, **settings)
