"""Clipping, shared noise and shifts, against numpy; several devices against one."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.training.augment import random_flip, random_shift
from madvae_tf.training.replicas import apply_clipped, exponential_decay, global_size, replica_part
from tests import processes


@pytest.mark.parametrize(
    ("clip_norm", "scale"), [(2.6, 0.2), (13.0, 1.0), (100.0, 1.0), (0.0, 1.0)]
)
def test_the_global_norm_is_clipped_and_the_direction_kept(clip_norm, scale):
    variables = [
        keras.Variable(np.zeros(2, np.float32)),
        keras.Variable(np.zeros((1, 1), np.float32)),
    ]
    gradients = [tf.constant([3.0, 4.0]), tf.constant([[12.0]])]  # a norm of 13 together
    apply_clipped(keras.optimizers.SGD(1.0), gradients, variables, clip_norm)
    np.testing.assert_allclose(variables[0], [-3 * scale, -4 * scale], rtol=1e-6)
    np.testing.assert_allclose(variables[1], [[-12 * scale]], rtol=1e-6)


def test_one_replica_draws_for_its_own_batch():
    assert replica_part(lambda size: tf.range(size), tf.constant(5)).numpy().tolist() == [
        0,
        1,
        2,
        3,
        4,
    ]
    assert float(global_size(tf.zeros(5, tf.int64))) == 5.0


def test_the_learning_rate_falls_geometrically_from_start_to_end():
    schedule = exponential_decay(1e-2, 1e-4, 200)
    np.testing.assert_allclose(
        [float(schedule(step)) for step in (0, 100, 200)], [1e-2, 1e-3, 1e-4], rtol=1e-4
    )


def shifted(image, down, right):
    """`image` moved, zeros moving in, pixel by pixel."""
    moved = np.zeros_like(image)
    for row in range(28):
        for column in range(28):
            if 0 <= row - down < 28 and 0 <= column - right < 28:
                moved[row, column] = image[row - down, column - right]
    return moved


def test_a_shift_moves_every_image_by_an_offset_of_its_own():
    images = np.random.default_rng(0).random((150, 28, 28, 1), dtype=np.float32)
    got = random_shift(tf.constant(images), 2, tf.constant([4, 5])).numpy()
    offsets = []
    for image, moved in zip(images, got, strict=True):
        fits = [
            (down, right)
            for down in range(-2, 3)
            for right in range(-2, 3)
            if np.array_equal(moved[14, 14], image[14 - down, 14 - right])
        ]
        offsets += fits
        assert len(fits) == 1
        np.testing.assert_array_equal(moved, shifted(image, *fits[0]))
    assert len(set(offsets)) == 25
    again, other = (
        random_shift(tf.constant(images), 2, tf.constant([4, seed])).numpy() for seed in (5, 6)
    )
    np.testing.assert_array_equal(got, again)
    assert not np.array_equal(got, other)
    np.testing.assert_array_equal(random_shift(tf.constant(images), 0, tf.constant([4, 5])), images)


def test_about_half_of_the_images_are_mirrored_left_to_right_and_the_others_left_alone():
    images = np.random.default_rng(0).random((400, 5, 4, 2), dtype=np.float32)
    got = random_flip(tf.constant(images), tf.constant([4, 5])).numpy()
    mirrored = [np.array_equal(now, image[:, ::-1]) for image, now in zip(images, got, strict=True)]
    alone = [np.array_equal(now, image) for image, now in zip(images, got, strict=True)]
    assert all(first != second for first, second in zip(mirrored, alone, strict=True))
    # Binomial(400, 1/2) leaves this interval once in ten million draws.
    assert 147 <= sum(mirrored) <= 253
    other = random_flip(tf.constant(images), tf.constant([4, 6])).numpy()
    assert not np.array_equal(got, other)


# On two logical devices and on one: the same weights and statistics, although every batch's halves
# are unlike.
SCRIPT = """
import sys
import keras, numpy as np, tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * int(sys.argv[2]))
sys.path.insert(0, "tests/training")
from conftest import TinyPairs, make_classifier, make_purifier, make_robust
from madvae_tf.data.batches import training_dataset
from madvae_tf.training.loop import default_strategy, train
from madvae_tf.training.replicas import global_size, replica_part
from madvae_tf.training.inner_attack import InnerAttack

class Unlike(TinyPairs):
    def batch(self, rows):
        x_adv, x, label = super().batch(rows)
        dark = np.linspace(0.1, 1, len(rows), dtype=np.float32)[:, None, None, None]
        return x_adv * dark, x * dark, label

n = int(sys.argv[2])
many = default_strategy()
assert isinstance(many, tf.distribute.MirroredStrategy) and many.num_replicas_in_sync == n
parts = many.experimental_local_results(many.run(lambda: replica_part(lambda size: tf.range(size), tf.constant(3))))
assert [part.numpy().tolist() for part in parts] == np.arange(3 * n).reshape(n, 3).tolist(), parts
sizes = many.experimental_local_results(many.run(lambda: global_size(tf.zeros(3, tf.int64))))
assert [float(size) for size in sizes] == [3.0 * n] * n

class Keep(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.logs = []
    def on_train_batch_end(self, batch, logs=None):
        self.logs.append(logs)

def trained(make, strategy, folder):
    with strategy.scope():
        trainer = make(optimizer=keras.optimizers.SGD(0.05))
    def values():
        groups = trainer.trainable_weights, trainer.non_trainable_weights
        return [np.concatenate([np.ravel(weight.numpy()) for weight in group] or [[]]) for group in groups]
    start, keep = values(), Keep()
    train(trainer, lambda step: training_dataset(Unlike(), 16, 1, step, 3), 3, 1, strategy,
          sys.argv[1] + "/" + folder, 100, [keep])
    return start, values(), keep.logs

def without_dropout(optimizer):  # which is drawn per replica
    trainer = make_classifier(optimizer)
    trainer.classifier.dropout = 0.0
    return trainer

def without_signs(optimizer):  # A gradient next to 0 may round to either sign, and weights go apart from there.
    return make_robust(optimizer, clip_norm=0.05, attack=InnerAttack(attack_steps=0, late_attack_steps=0))

for name, make in (("purifier", lambda optimizer: make_purifier(optimizer=optimizer, clip_norm=0.05)),
                   ("robust", without_signs), ("classifier", without_dropout)):
    runs = [trained(make, strategy, f"{name}-{number}")
            for number, strategy in enumerate((tf.distribute.get_strategy(), many))]
    (start, one, logs_one), (_, both, logs_two) = runs
    for before, alone, together in zip(start, one, both):
        if len(before):
            moved, apart = np.linalg.norm(alone - before), np.linalg.norm(alone - together)
            assert moved > 1e-3 and apart < 0.01 * moved, (name, moved, apart)
            assert np.abs(alone - together).max() < 1e-4
    if name == "purifier":  # three steps of 0.05 each, clipped to 0.05
        assert 0.002 < np.linalg.norm(one[0] - start[0]) < 3 * 0.05 * 0.05 * 1.001
    logs = [abs(a[key] - b[key]) / max(1, abs(a[key])) for a, b in zip(logs_one, logs_two) for key in a]
    assert max(logs) < 1e-4, logs
    print(name)
    if n > 2:  # What is left is the same for every number.
        sys.exit()
# Signs of gradients next to 0 may differ here and there: held to less than a third of what another
# draw of the starts changes.
def first(strategy, folder, noise_seed=11):
    def sensitive(optimizer):  # With its first weights the small network says nearly the same of every image.
        trainer = make_robust(optimizer, noise_seed=noise_seed)
        for weight in trainer.purifier.weights:
            if weight.path.endswith("kernel"):
                weight.assign(4 * weight)
        return trainer
    return trained(sensitive, strategy, folder)[2][0]

alone = first(tf.distribute.get_strategy(), "attack-0")
together, redrawn = first(many, "attack-1"), first(tf.distribute.get_strategy(), "attack-2", 12)
assert abs(alone["kl"] - redrawn["kl"]) > 1e-3 * abs(alone["kl"])  # of what the attack found: no noise is in it
for key, value in alone.items():
    allowed = 1e-4 * max(1, abs(value)) + abs(value - redrawn[key]) / 3
    assert abs(value - together[key]) < allowed, (key, value, together[key], redrawn[key])
print("attack")
"""  # noqa: E501


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("devices", "compared"),
    [(2, ["purifier", "robust", "classifier", "attack"]), (4, ["purifier"])],
)
def test_many_devices_train_as_one_does(tmp_path, devices, compared):
    """Covers the loss over the global batch, the clipping of the summed gradient and synchronised
    normalisation.
    """
    process = processes.run(["-c", SCRIPT, tmp_path, devices])
    assert process.returncode == 0, process.stderr[-3000:]
    assert process.stdout.split() == compared
