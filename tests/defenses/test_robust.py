"""The robust purifier as a defence: exact resume, what it reads and writes, and that it holds where an ordinary one does not."""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import PGD, Target, run_attack
from madvae_tf.config import RobustConfig
from madvae_tf.data.prepare import to_float
from madvae_tf.defenses import DEFENSES, robust
from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.robust import Robust, evenly_spaced

TINY = {"latent_size": 8, "batch_size": 8, "validation_steps": 2, "validation_images": 16}


@pytest.fixture
def clean(material):
    """`material` as the stage gives it: no pairs; and its classifier trained to be right."""
    given = material

    def make(scratch, **more):
        made = given(scratch, pairs=None, validation_pairs=None, **more)
        x, label = to_float(made.train.images), made.train.labels
        weight, bias = made.classifier.dense.kernel, made.classifier.dense.bias
        for _ in range(60):
            with tf.GradientTape() as tape:
                logits = made.classifier.logits(x)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits))
            for variable, gradient in zip(
                (weight, bias), tape.gradient(loss, [weight.value, bias.value]), strict=True
            ):
                variable.assign_sub(0.1 * gradient)
        return made

    return make


@pytest.mark.parametrize(
    "options",
    [{}, {"average": 0.9, "late_attack_steps": 2, "late_from": 0.5, "consistency": 1.0, "max_shift": 1}],
    ids=["recipe", "options"],
)
def test_a_killed_training_ends_as_an_unbroken_one(clean, assert_a_kill_changes_nothing, options):
    defense = Robust(**TINY, epochs=2, epoch_steps=5, ramp_steps=6, **options)
    folder = assert_a_kill_changes_nothing(defense, robust, clean, kill=6)
    names = {path.name for path in folder.iterdir()}
    assert names == {"purifier.keras", "metrics.json", "log.csv", "tensorboard"}
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 5, 6, 8, 10]
    assert {"reconstruction", "kl", "classification", "epsilon", "attacked_accuracy"} <= set(rows[0])
    assert [bool(row["val_attacked_accuracy"]) for row in rows] == [False, False, True, False, False, True]
    # Means of two steps each: 0.05 + 0.25 / 6 per step, full from step 6 on.
    epsilons = [float(row["epsilon"]) for row in rows if row["epsilon"]]
    each = [0.05 + 0.25 * min(1, step / 6) for step in range(10)]
    np.testing.assert_allclose(epsilons, np.reshape(each, (5, 2)).mean(axis=1), rtol=1e-5)
    rates = [float(row["learning_rate"]) for row in rows if row["learning_rate"]]
    wanted = [1e-5 + (2e-3 - 1e-5) * (1 + np.cos(np.pi * step / 10)) / 2 for step in (2, 4, 6, 8, 10)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-4)


def test_the_metrics_of_the_file_are_those_of_the_training(clean, trained):
    """Float32 training: the saved model's accuracies under attack equal the last validation's."""
    folder = trained(Robust(**TINY, epochs=1, epoch_steps=12, ramp_steps=0), robust, clean, "one")
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "log.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    for name in ("accuracy", "attacked_accuracy"):
        assert metrics[f"validation_{name}"] == pytest.approx(float(last[f"val_{name}"]), abs=1e-6)
    assert (metrics["images"], metrics["steps"], metrics["batch_size"]) == (96, 12, 8)
    assert load_keras(folder / "purifier.keras").dtype_policy.name == "float32"


def kept(defended, split, epsilon):
    x = to_float(split.images)
    attack = PGD(epsilon=epsilon, step_size=epsilon / 4, iterations=8)
    result = run_attack(attack, Target(defended.logits), x, split.labels, (1, 2), batch_size=len(x))
    return 1 - result.success.mean()


def test_it_holds_against_attacks_on_the_whole_system_where_an_ordinary_purifier_does_not(clean, trained):
    """The same training twice: against attacks of 0.3, and against next to none."""
    common = {
        **{**TINY, "batch_size": 20},
        **{"epochs": 1, "epoch_steps": 70, "ramp_steps": 20, "learning_rate": 3e-3},
    }
    held, right = {}, {}
    for name, epsilon in (("attacked", 0.3), ("ordinary", 1e-6)):
        defense = Robust(**common, epsilon=epsilon, start_epsilon=min(epsilon, 0.05))
        folder = trained(defense, robust, clean, name)
        given = clean(folder)
        defended = defense.load(folder, given.classifier)
        held[name] = kept(defended, given.validation, 0.3)
        predicted = np.argmax(defended.logits(to_float(given.validation.images)), axis=1)
        right[name] = np.mean(predicted == given.validation.labels)
    assert min(right.values()) > 0.8, right
    assert held["attacked"] > held["ordinary"] + 0.3, held


def test_the_row_of_the_registry_takes_what_the_configuration_has():
    fields = {field.name for field in dataclasses.fields(RobustConfig)}
    assert fields < {field.name for field in dataclasses.fields(Robust)}
    own = dataclasses.asdict(RobustConfig())
    defense = DEFENSES["robust"](**own)
    assert isinstance(defense, Robust)
    assert {name: getattr(defense, name) for name in own} == own
    assert {name: getattr(Robust(), name) for name in own} == own


def test_validation_images_are_drawn_from_all_of_them():
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8] and evenly_spaced(3, 9).tolist() == [0, 1, 2]
