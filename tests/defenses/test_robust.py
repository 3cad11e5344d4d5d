"""The robust purifier as a defence: exact resume, what it reads and writes, and that it holds where
an ordinary one does not.
"""

import csv
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import PGD, DefendedModel, run_attack
from madvae_tf.config import RobustConfig
from madvae_tf.data.batches import evenly_spaced
from madvae_tf.data.prepare import to_float
from madvae_tf.defenses import DEFENSES, robust
from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.robust import Robust
from tests.small import SmallVAE

TINY = {"latent_size": 8, "batch_size": 4, "validation_steps": 2, "validation_images": 8}


@pytest.fixture
def clean(inputs, tmp_path):
    """`inputs` as the stage gives it, without pairs, and with a classifier that is right on clean
    images.
    """
    first = inputs(tmp_path)
    x, label = to_float(first.train.images), first.train.labels
    variables = [variable.value for variable in first.classifier.dense.weights]
    for _ in range(60):
        with tf.GradientTape() as tape:
            logits = first.classifier.logits(x)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(label, logits))
        for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
            variable.assign_sub(0.1 * gradient)
    return lambda scratch, **more: inputs(scratch, pairs=None, validation_pairs=None, **more)


@pytest.fixture
def small(monkeypatch):
    """For what does not depend on the network."""
    monkeypatch.setattr(robust, "DefenseVAE", SmallVAE)


@pytest.mark.usefixtures("small")
def test_a_killed_training_ends_as_an_unbroken_one(clean, assert_a_kill_changes_nothing):
    """With everything on that holds a state or draws a number."""
    options = {
        "average": 0.9,
        "late_attack_steps": 2,
        "late_from": 0.5,
        "consistency": 1.0,
        "max_shift": 1,
    }
    defense = Robust(**TINY, epochs=2, epoch_steps=4, ramp_steps=6, **options)
    folder = assert_a_kill_changes_nothing(defense, clean, kill=6)
    names = {path.name for path in folder.iterdir()}
    assert names == {"purifier.keras", "metrics.json", "log.csv", "tensorboard"}
    with (folder / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6, 8]
    assert {"reconstruction", "kl", "classification", "consistency", "attacked_accuracy"} <= set(
        rows[0]
    )
    assert [bool(row["val_attacked_accuracy"]) for row in rows] == [False, True, False, True]
    # Means of two steps each: 0.05 + 0.25 / 6 per step, full from step 6 on.
    each = [0.05 + 0.25 * min(1, step / 6) for step in range(8)]
    means = np.reshape(each, (4, 2)).mean(axis=1)
    np.testing.assert_allclose([float(row["epsilon"]) for row in rows], means, rtol=1e-5)
    wanted = [1e-5 + (2e-3 - 1e-5) * (1 + np.cos(np.pi * step / 8)) / 2 for step in (2, 4, 6, 8)]
    np.testing.assert_allclose([float(row["learning_rate"]) for row in rows], wanted, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_two_stages_killed_in_each_end_as_unbroken_ones(clean, trained):
    """Killed in the encoder's stage of six steps, then in the decoder's of eight, each after its
    first checkpoint.
    """
    options = {"average": 0.9, "max_shift": 1, "decaying_steps": True, "step_ratio": 0.6}
    stages = {"encoder": "vgg", "encoder_epochs": 3, "epochs": 4, "epoch_steps": 2}
    defense = Robust(**TINY, **stages, **options, radius_ratio=4 / 3, ramp_steps=3)
    whole = trained(defense, clean, "unbroken")
    for kill in (5, 6, None):
        broken = trained(defense, clean, "broken", kill)
        assert (broken / "log.csv").exists() == (kill != 5)
    assert {path.name for path in whole.iterdir()} == {
        *("purifier.keras", "metrics.json", "log.csv", "tensorboard", "encoder")
    }
    for name in ("metrics.json", "log.csv", "encoder/log.csv"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes()
    one, other = (load_keras(folder / "purifier.keras") for folder in (whole, broken))
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.encoder_name == "vgg" and one.squash is not None
    with (whole / "encoder" / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [2, 4, 6]
    each = [0.05 + 0.35 * min(1, step / 3) for step in range(6)]
    np.testing.assert_allclose(
        [float(row["epsilon"]) for row in rows], np.reshape(each, (3, 2)).mean(axis=1), rtol=1e-5
    )
    with (whole / "log.csv").open(newline="") as file:
        # The encoder withstands the whole radius: it need not grow anew.
        radii = [float(row["epsilon"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(radii, [0.4] * 4, rtol=1e-5)
    metrics = json.loads((whole / "metrics.json").read_text())
    assert (metrics["encoder_images"], metrics["images"]) == (24, 32)


@pytest.mark.usefixtures("small")
def test_the_metrics_of_the_file_are_those_of_the_training(clean, trained):
    """Float32 training: the saved model's accuracies under attack equal the last validation's."""
    folder = trained(Robust(**TINY, epochs=1, epoch_steps=12, ramp_steps=0), clean, "one")
    metrics = json.loads((folder / "metrics.json").read_text())
    with (folder / "log.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    for name in ("accuracy", "attacked_accuracy"):
        assert metrics[f"validation_{name}"] == pytest.approx(float(last[f"val_{name}"]), abs=1e-6)
    assert (metrics["images"], metrics["steps"], metrics["batch_size"]) == (48, 12, 4)
    assert load_keras(folder / "purifier.keras").dtype_policy.name == "float32"


def test_a_training_goes_on_from_its_start(clean, trained, tmp_path):
    """With steps of next to no length it ends where it began: with the start's weights, latents and
    squash, whatever its own settings.
    """
    beginning = SmallVAE(6, squash_scale=12.0)
    start = tmp_path / "start"
    start.mkdir()
    beginning.save(start / "purifier.keras")
    rates = {"learning_rate": 1e-12, "final_learning_rate": 1e-12}
    defense = Robust(**TINY, **rates, epochs=1, epoch_steps=2)
    folder = trained(defense, clean, "on", trained={"start": start})
    ended = load_keras(folder / "purifier.keras")
    assert (ended.latent_size, ended.squash_scale) == (6, 12.0)
    moved = [
        np.abs(before - after).max()
        for before, after in zip(beginning.get_weights(), ended.get_weights(), strict=True)
    ]
    # The moving statistics of the normalisations follow the images; nothing else moves.
    statistics = 2 * sum("moving_mean" in weight.path for weight in beginning.weights)
    assert sum(distance > 1e-9 for distance in moved) <= statistics < len(moved) / 2
    with (folder / "log.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    assert float(first["squash_scale"]) == pytest.approx(12.0)


def kept(defended, split, epsilon):
    x = to_float(split.images)
    attack = PGD(epsilon=epsilon, step_size=epsilon / 4, iterations=8)
    result = run_attack(
        attack, DefendedModel(defended.logits), x, split.labels, (1, 2), batch_size=len(x)
    )
    return 1 - result.success.mean()


@pytest.mark.slow
def test_it_holds_against_attacks_on_the_whole_system_where_an_ordinary_purifier_does_not(
    clean, trained
):
    """As long a training on the same images: with squash and attacks, and without either."""
    common = {"latent_size": 8, "batch_size": 20, "epochs": 1, "epoch_steps": 40}
    common |= {"learning_rate": 3e-3, "final_learning_rate": 3e-3}
    changes = {
        "robust": {"epsilon": 0.2, "ramp_steps": 10},
        "ordinary": {"epsilon": 1e-6, "start_epsilon": 0.0, "scale": 0.0},
    }
    held, right = {}, {}
    for name, change in changes.items():
        defense = Robust(**common, **change, validation_images=8, validation_steps=1)
        folder = trained(defense, clean, name)
        given = clean(folder)
        defended = defense.load(folder, given.classifier)
        held[name] = kept(defended, given.validation, 0.2)
        predicted = np.argmax(defended.logits(to_float(given.validation.images)), axis=1)
        right[name] = np.mean(predicted == given.validation.labels)
    assert min(right.values()) > 0.8, right
    # 40 steps: how far apart they end follows the order of sums, which follows the number of cores.
    assert held["robust"] > held["ordinary"] + 0.1, held


def test_the_row_of_the_registry_takes_what_the_configuration_has():
    """All but the files of one that is not trained here and of what the training goes on from,
    which are the pipeline's.
    """
    own = dataclasses.asdict(RobustConfig())
    del own["path"], own["start"]
    assert set(own) < {field.name for field in dataclasses.fields(Robust)}
    defense = DEFENSES["robust"](**own)
    assert isinstance(defense, Robust)
    assert {name: getattr(defense, name) for name in own} == own
    assert {name: getattr(Robust(), name) for name in own} == own


def test_validation_images_are_drawn_from_all_of_them():
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8] and evenly_spaced(3, 9).tolist() == [0, 1, 2]
