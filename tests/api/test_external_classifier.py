"""Foreign classifiers: what is told apart, what is refused, and that probabilities attack as logits
do.
"""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.api.pairs import make_pairs
from madvae_tf.attacks import DefendedModel
from madvae_tf.models.external_classifier import adapt, load_classifier_file
from madvae_tf.utils.errors import UserError

PROBE = np.random.default_rng(0).random((6, 28, 28, 1), np.float32)


def test_logits_and_probabilities_are_told_apart(toy):
    expected = PROBE.reshape(6, 784) @ toy.templates()
    for classifier, kind in (
        (toy.linear(), "logits"),
        (toy.as_function, "logits"),
        (toy.linear("softmax"), "probabilities"),
        (lambda images: tf.nn.log_softmax(toy.as_function(images)), "logits"),
    ):
        adapted = adapt(classifier, PROBE)
        assert adapted.outputs == kind
        given = adapted(PROBE).numpy()
        differences = given - expected
        # Equal but for one number per image.
        np.testing.assert_allclose(differences, differences[:, :1] + np.zeros((1, 10)), atol=1e-4)
        assert adapt(adapted, PROBE) is adapted


def test_pairs_from_probabilities_are_those_from_logits(toy, tmp_path):
    images, labels = toy.squares(12)
    made = []
    for name, classifier in (("logits", toy.linear()), ("probabilities", toy.linear("softmax"))):
        (tmp_path / name).mkdir()
        target = DefendedModel(logits=functools.partial(adapt(classifier, PROBE), training=False))
        file = tmp_path / name / "training.npy"
        made.append(make_pairs(target, images, labels, toy.ATTACKS, 10, 3, 4, file))
    one, other = made
    np.testing.assert_array_equal(one.index, other.index)
    # FGSM: the hand value, x + 0.2 sign(W (p - onehot)), clipped.
    x = images[one.index[:10]].reshape(10, 784) / np.float32(255)
    logits = x.astype(np.float64) @ toy.templates().astype(np.float64)
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    gradient = (p - np.eye(10)[labels[one.index[:10]]]) @ toy.templates().T
    by_hand = np.clip(x + 0.2 * np.sign(gradient), 0, 1)
    certain = np.abs(gradient) > 1e-6
    assert certain.mean() > 0.99
    for pairs in made:
        fgsm = pairs.x_adv[:10].reshape(10, 784)
        np.testing.assert_allclose(fgsm[certain], by_hand[certain], atol=1e-6)
    cw, cw_other = one.x_adv[10:20], other.x_adv[10:20]
    assert np.abs(cw - images[one.index[10:20]] / 255).max() > 0.05
    np.testing.assert_allclose(cw, cw_other, atol=1e-3)
    # Clean images are the images, and every attack has its own draw of distinct ones.
    np.testing.assert_array_equal(one.x_adv[20:], images[one.index[20:]] / np.float32(255))
    draws = [tuple(one.index[start : start + 10]) for start in (0, 10, 20)]
    assert all(len(set(draw)) == 10 for draw in draws) and len(set(draws)) == 3


def test_a_probability_of_zero_has_a_finite_logarithm_and_gradient(toy):
    weights = tf.constant(1000 * toy.templates())
    adapted = adapt(lambda images: tf.nn.softmax(tf.reshape(images, (-1, 784)) @ weights), PROBE)
    x = tf.constant(PROBE)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = adapted(x)
    assert (
        adapted.outputs == "probabilities"
        and np.isfinite(logits).all()
        and logits.numpy().min() < -50
    )
    assert np.isfinite(tape.gradient(logits, x)).all()


def test_training_layers_are_still_and_the_model_is_not_changed(toy):
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Dropout(0.5), toy.linear()])
    adapted = adapt(model, PROBE)
    adapted.trainable = False
    np.testing.assert_allclose(adapted(PROBE, training=True), toy.as_function(PROBE), atol=1e-5)
    assert model.trainable and len(model.trainable_variables) == 2


BAD = {
    "not callable": (3, "auto", "received int, expected a Keras model or a callable"),
    "raises": (lambda images: 1 / 0, "auto", "it raised ZeroDivisionError"),
    "shape": (
        lambda images: images[..., 0],
        "auto",
        r"gave shape \(6, 28, 28\)",
    ),
    "nan": (
        lambda images: tf.fill((len(images), 10), float("nan")),
        "auto",
        "gave NaN or infinity",
    ),
    "numpy": (
        lambda images: np.asarray(images).reshape(-1, 784)[:, :10],
        "auto",
        "no gradient flows from its output",
    ),
    "no probabilities": (
        lambda images: tf.reshape(images, (-1, 784))[:, :10] * 3,
        "probabilities",
        "expected probabilities that sum to 1; pass outputs='logits'",
    ),
    "outputs": (lambda images: images, "scores", "Invalid outputs: received 'scores'"),
}


@pytest.mark.parametrize(("classifier", "outputs", "message"), BAD.values(), ids=BAD.keys())
def test_what_cannot_be_a_classifier_is_refused(classifier, outputs, message):
    with pytest.raises(UserError, match=message) as caught:
        adapt(classifier, PROBE, outputs)
    assert "\n" not in str(caught.value)


def test_classifiers_from_files(toy, tmp_path):
    model = toy.linear("softmax")
    model.save(tmp_path / "own.keras")
    model.export(tmp_path / "keras_export", verbose=False)

    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.weights = tf.Variable(toy.templates())

        @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32, name="pixels")])
        def logits(self, pixels):
            return {"scores": tf.reshape(pixels, (-1, 784)) @ self.weights}

    module = Module()
    tf.saved_model.save(module, str(tmp_path / "plain"), signatures={"classify": module.logits})
    expected = tf.nn.softmax(toy.as_function(PROBE)).numpy()
    for name, outputs in (
        ("own.keras", "probabilities"),
        ("keras_export", "probabilities"),
        ("plain", "logits"),
    ):
        loaded = load_classifier_file(tmp_path / name, PROBE)
        assert loaded.outputs == outputs
        np.testing.assert_allclose(tf.nn.softmax(loaded(PROBE)), expected, atol=1e-5)


def test_files_that_are_none_are_refused(toy, tmp_path):
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "empty").mkdir()
    unsafe = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Lambda(lambda images: images * 2), toy.linear()]
    )
    unsafe.save(tmp_path / "unsafe.keras")
    for name, message in (
        ("text.keras", "Cannot read .*text.keras"),
        ("empty", "Cannot read the SavedModel"),
        ("missing.keras", "expected a .keras file or the folder of a SavedModel"),
        ("unsafe.keras", "no Lambda of Python code"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            load_classifier_file(tmp_path / name, PROBE)
        assert "\n" not in str(caught.value)
