"""Adversarial training as a defence: what it writes, that it resumes exactly, and that it makes
robust.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import PGD, DefendedModel, run_attack
from madvae_tf.data.prepare import to_float
from madvae_tf.defenses.adversarial_training import AdversarialFGSM, AdversarialPGD
from madvae_tf.defenses.files import load_keras, save_float32
from madvae_tf.models.classifiers import CLASSIFIERS
from madvae_tf.training import scaffold

SHORT = {"epochs": 1, "batch_size": 4, "dropout": 0.2}  # 10 steps of 40 images


@pytest.mark.parametrize("defense", [AdversarialFGSM(**SHORT), AdversarialPGD(**SHORT, steps=2)])
def test_a_killed_training_ends_as_an_unbroken_one(inputs, assert_a_kill_changes_nothing, defense):
    folder = assert_a_kill_changes_nothing(defense, inputs, kill=6)
    assert {path.name for path in folder.iterdir()} == {
        "classifier.keras",
        "log.csv",
        "tensorboard",
    }


def robust(defended, split, epsilon):
    x = to_float(split.images)
    attack = PGD(epsilon=epsilon, step_size=epsilon / 4, iterations=8)
    result = run_attack(
        attack, DefendedModel(defended.logits), x, split.labels, (1, 2), batch_size=len(x)
    )
    return 1 - result.success.mean()


def test_training_on_attacks_holds_where_plain_training_does_not(inputs, trained):
    """The same training twice: against an attack of 0.3, and against none (epsilon 0)."""
    common = {"epochs": 4, "batch_size": 4, "learning_rate": 2e-2, "final_learning_rate": 2e-3}
    held, right = {}, {}
    for name, epsilon in (("attacked", 0.3), ("plain", 0.0)):
        defense = AdversarialPGD(**common, epsilon=epsilon)
        folder = trained(defense, inputs, name)
        given = inputs(folder)
        defended = defense.load(folder, given.classifier)
        assert not load_keras(folder / "classifier.keras").trainable
        held[name] = robust(defended, given.validation, 0.3)
        clean = np.argmax(defended.logits(to_float(given.validation.images)), axis=1)
        right[name] = np.mean(clean == given.validation.labels)
    assert right["plain"] > 0.9 and right["attacked"] > 0.7
    assert held["attacked"] > held["plain"] + 0.3


def test_only_the_images_asked_for_are_trained_on(inputs, trained, monkeypatch):
    seen = []
    original = scaffold.training_dataset
    monkeypatch.setattr(
        scaffold,
        "training_dataset",
        lambda images, *args: seen.append(images) or original(images, *args),
    )
    trained(AdversarialFGSM(epochs=1, batch_size=128, train_images=12), inputs, "few")
    assert [len(images) for images in seen] == [12]


def test_a_copy_in_float32_has_the_same_weights(tmp_path, inputs):
    inputs(tmp_path)  # Makes the tiny classifier known.
    keras.utils.set_random_seed(1)
    model = CLASSIFIERS["tiny"](dropout=0.25, dtype="mixed_bfloat16")
    returned = save_float32(model, tmp_path / "model.keras")
    saved = load_keras(tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    images = tf.random.stateless_uniform((4, 28, 28, 1), [0, 1])
    exact = (
        tf.matmul(tf.reshape(images, (4, 784)), model.dense.kernel.value) + model.dense.bias.value
    )
    for copy in (returned, saved):
        assert copy.dtype_policy.name == "float32" and copy.dropout == 0.25
        np.testing.assert_allclose(copy(images), exact, rtol=1e-5, atol=1e-6)
    assert not np.allclose(model(images), exact, rtol=1e-5, atol=1e-6)
