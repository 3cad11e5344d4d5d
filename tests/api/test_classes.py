"""`fit` and `fit_robust` with any number of classes: what they learn from, check and give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.api.validation import check_data, clean_accuracy
from madvae_tf.attacks import FGSM, NoAttack
from madvae_tf.defenses import robust
from madvae_tf.models.external_classifier import adapt
from madvae_tf.training import purifier
from madvae_tf.utils.errors import UserError
from tests.small import SmallVAE

SMALL = {"latent_size": 4, "precision": "float32", "verbose": 0, "batch_size": 8}


def stripes(classes, n=40):
    """Images uint8 whose brightness pattern tells the class, and labels."""
    rng = np.random.default_rng(classes)
    patterns = rng.random((classes, 28, 28, 1)) > 0.5
    labels = np.arange(n) % classes
    images = 40 + 160 * patterns[labels] + rng.integers(0, 40, (n, 28, 28, 1))
    return images.astype(np.uint8), labels


def templates(classes):
    """float32 (784, classes): the pattern of each."""
    patterns = np.random.default_rng(classes).random((classes, 784)) > 0.5
    return ((patterns - 0.5) / 20).T.astype(np.float32)


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(robust, "DefenseVAE", SmallVAE)
    monkeypatch.setattr(purifier, "DefenseVAE", SmallVAE)


def test_fit_with_a_hundred_classes(tiny, tmp_path):
    """Centres, probabilities and predictions are of a hundred classes; labels may be one-hot."""
    images, labels = stripes(100, 120)
    classifier = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(100)]
    )
    classifier.set_weights([templates(100), np.zeros(100, np.float32)])
    defense = madvae_tf.fit(
        classifier,
        images,
        np.eye(100, dtype=np.uint8)[labels],
        epochs=1,
        attacks=(FGSM(epsilon=0.05), NoAttack()),
        images_per_attack=24,
        **SMALL,
    )
    probabilities = defense.predict_proba(images[:5])
    assert probabilities.shape == (5, 100)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert "-> 100 classes" in repr(defense)
    assert defense.info["classifier_validation_accuracy"] == 1.0
    assert defense.info["figures"]["classes"] == 100
    defense.save(tmp_path / "defense")
    again = madvae_tf.load(tmp_path / "defense")
    np.testing.assert_allclose(again.predict_proba(images[:5]), probabilities, atol=1e-6)


def test_fit_robust_with_a_sigmoid(tiny):
    """Two classes by one output: probabilities of both come back."""
    images, labels = stripes(2)
    matrix = templates(2)
    column = matrix[:, 1:] - matrix[:, :1]

    def sigmoid(x):
        return tf.sigmoid(tf.reshape(x, (-1, 784)) @ column)

    defense = madvae_tf.fit_robust(
        sigmoid,
        images,
        labels[:, None] / 1.0,
        epsilon=0.05,
        encoder_epochs=1,
        epochs=1,
        **SMALL,
    )
    assert defense.info["classifier_validation_accuracy"] == 1.0
    purified = defense.purify(images[:6])
    p = 1 / (1 + np.exp(-(purified.reshape(6, 784) @ column)))
    found = defense.predict_proba(images[:6])
    np.testing.assert_allclose(found, np.hstack([1 - p, p]), atol=1e-4)
    assert "-> 2 classes" in repr(defense)


def test_labels_are_checked_against_the_outputs_before_any_work():
    images, labels = stripes(3)
    given = (lambda x: tf.reshape(x, (-1, 784)) @ templates(3), images)
    for wrong, message in (
        (labels + 1, "they begin at 1: subtract 1 from each"),
        (np.arange(40) % 5, "5 classes need a classifier with 5 outputs"),
    ):
        for fit in (madvae_tf.fit, madvae_tf.fit_robust):
            with pytest.raises(UserError, match=message):
                fit(*given, wrong, **SMALL)
    with pytest.raises(UserError, match="received 40 of which each is of one value"):
        madvae_tf.fit(given[0], np.full_like(images, 7), labels, **SMALL)


def test_classes_without_images_and_few_images_are_said(caplog):
    labels = np.arange(60) % 3
    check_data((np.zeros(60), labels), (np.zeros(3), labels[:3]), 3)
    assert not caplog.records
    check_data((np.zeros(60), labels), (np.zeros(3), labels[:3]), 7)
    assert "4 of 7 classes have no image: 3, 4, 5, 6" in caplog.text
    assert "60 training images of 7 classes are few" in caplog.text


def test_half_right_is_suspicious_of_two_classes_only(caplog):
    images, labels = stripes(2)
    for classes, expected in ((2, True), (100, False)):
        caplog.clear()
        classifier = adapt(
            lambda x, classes=classes: (
                tf.one_hot(tf.zeros(len(x), tf.int32), classes) + 0 * tf.reduce_sum(x)
            ),
            images[:4] / np.float32(255),
            "logits",
        )
        assert clean_accuracy(classifier, images, labels, 20) == 0.5
        assert ("is right on 50.0%" in caplog.text) == expected


def test_several_inputs_or_outputs_say_what_to_give():
    x = keras.Input((28, 28, 1), name="picture")
    more = keras.Input((3,), name="age")
    flat = keras.layers.Flatten()(x)
    two_in = keras.Model([x, more], keras.layers.Dense(3)(keras.layers.concatenate([flat, more])))
    two_out = keras.Model(x, [keras.layers.Dense(3)(flat), keras.layers.Dense(4)(flat)])
    probe = np.zeros((2, 28, 28, 1), np.float32)
    with pytest.raises(UserError, match=r"takes 2 inputs \(picture, age\).*lambda images"):
        adapt(two_in, probe)
    with pytest.raises(UserError, match=r"gives 2 outputs.*model.outputs\[0\]"):
        adapt(two_out, probe)
    with pytest.raises(UserError, match=r"it gave shape \(2,\).*or \(2, 1\): a single sigmoid"):
        adapt(lambda x: tf.reduce_mean(x, [1, 2, 3]), probe)


def test_a_single_output_is_read_by_its_range():
    probe = np.linspace(0, 1, 8, dtype=np.float32)[:, None, None, None] * np.ones((1, 28, 28, 1))

    def answers(x):
        return tf.reduce_mean(x, [1, 2, 3])[:, None]

    read = {
        name: adapt(function, probe.astype(np.float32))
        for name, function in (
            ("probabilities", answers),
            ("logits", lambda x: 4 * answers(x) - 2),
            ("doubt", lambda x: 0.4 * answers(x)),
        )
    }
    assert {name: each.outputs for name, each in read.items()} == {
        "probabilities": "probabilities",
        "logits": "logits",
        "doubt": "probabilities",
    }
    assert [bool(read[name].doubt) for name in ("probabilities", "logits", "doubt")] == [0, 0, 1]
    x = np.full((1, 28, 28, 1), 0.25, np.float32)
    np.testing.assert_allclose(read["probabilities"](x), [[0, np.log(0.25 / 0.75)]], rtol=1e-5)
    np.testing.assert_allclose(read["logits"](x), [[0, -1]], rtol=1e-5)
    with pytest.raises(UserError, match=r"values in \[-2, 2\].*expected probabilities in \[0, 1\]"):
        adapt(lambda x: 4 * answers(x) - 2, probe.astype(np.float32), "probabilities")
