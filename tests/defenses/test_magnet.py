"""MagNet: thresholds by count, detection by hand on fake autoencoders, training that resumes
exactly.
"""

import json

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.prepare import to_float
from madvae_tf.defenses import magnet
from madvae_tf.defenses.magnet import MagNet, detector, reconstruction_error, threshold


@pytest.mark.parametrize(
    ("drop_rate", "above"),
    [(0.0, 0), (0.0009, 0), (0.001, 1), (0.0029, 2), (0.29, 290), (1.0, 1000)],
)
def test_a_threshold_refuses_its_part_of_the_images_it_was_chosen_on(drop_rate, above):
    errors = np.random.default_rng(0).random(1000).astype(np.float32)
    limit = threshold(errors, drop_rate)
    assert np.sum(errors > limit) == above
    assert isinstance(limit, float)
    if 0 < above < 1000:  # Rounding of a later measurement moves no image across.
        assert np.abs(errors - limit).min() > 1e-6


def test_of_equal_errors_none_is_refused_beyond_the_rate():
    assert threshold(np.array([2.0, 1.0, 2.0, 2.0], np.float32), 0.5) == 2.0
    assert threshold(np.array([1.0, 4.0, 2.0, 8.0], np.float32), 0.25) == 6.0


def shifted_by(amount):
    return lambda images: images + tf.cast(amount, tf.float32)


def test_the_errors_by_hand():
    images = tf.zeros((2, 28, 28, 1))
    amounts = np.zeros((2, 28, 28, 1), np.float32)
    amounts[0, :14], amounts[1, 0, 0] = -0.5, 0.784
    errors = [
        reconstruction_error(shifted_by(amounts), images, exponent).numpy() for exponent in (1, 2)
    ]
    np.testing.assert_allclose(errors[0], [0.25, 0.001], rtol=1e-5)
    np.testing.assert_allclose(errors[1], [0.125, 0.784**2 / 784], rtol=1e-5)


def test_either_detector_refuses():
    """Detector I squares what its autoencoder changes, detector II does not; images tell them by
    how much.
    """

    def changes(row):
        return lambda images: images + images[:, row : row + 1, :1]

    images = np.zeros((4, 28, 28, 1), np.float32)
    images[:, 0, 0, 0] = [0.4, 0.6, 0.4, 0.6]  # I: 0.16, 0.36
    images[:, 1, 0, 0] = [0.2, 0.2, 0.4, 0.4]  # II: 0.2, 0.4
    detect = detector((changes(0), changes(1)), (0.25, 0.3))
    refused = detect(tf.constant(images))
    assert refused.dtype == tf.bool and refused.numpy().tolist() == [False, True, True, True]


def test_a_killed_training_ends_as_an_unbroken_one(inputs, assert_a_kill_changes_nothing):
    defense = MagNet(epochs=1, batch_size=4, drop_rate=0.1)
    folder = assert_a_kill_changes_nothing(defense, inputs, kill=6)
    files = {
        "autoencoder_1.keras",
        "autoencoder_2.keras",
        "thresholds.json",
        "log.csv",
        "tensorboard",
    }
    assert {path.name for path in folder.iterdir()} == files

    given = inputs(folder)
    limits = json.loads((folder / "thresholds.json").read_text())
    defended = defense.load(folder, given.classifier)
    clean = to_float(given.validation.images)
    # floor(0.1 x 24) images by each detector.
    for number, exponent in ((1, 2), (2, 1)):
        model = magnet.load_keras(folder / f"autoencoder_{number}.keras")
        assert model.pooling == (number == 1)
        errors = reconstruction_error(model, clean, exponent).numpy()
        assert np.sum(errors > limits[f"autoencoder_{number}"]) == 2
    assert 2 <= np.sum(defended.detect(clean)) <= 4
    np.testing.assert_allclose(
        defended.logits(clean), given.classifier(defended.purify(clean)), rtol=1e-4
    )
    reformed = magnet.load_keras(folder / "autoencoder_1.keras")(clean)
    np.testing.assert_allclose(defended.purify(clean), reformed, rtol=1e-5)
