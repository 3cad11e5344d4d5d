"""What each attacker sees, BPDA's gradient, and the expectation over sampled latents."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.evaluation import expectation, latent_matching, straight_through, target_of
from madvae_tf.utils.errors import UserError

WEIGHTS = tf.constant(np.random.default_rng(0).normal(size=(784, 10)), tf.float32)


def classifier(x):
    return tf.reshape(x, (-1, 784)) @ WEIGHTS


def purify(x):
    return tf.round(x * 3) / 3


SYSTEM = DefendedModel(lambda x: classifier(purify(x)), purify=purify)
IMAGES = tf.constant(np.random.default_rng(1).random((4, 28, 28, 1)), tf.float32)


def test_each_attacker_sees_what_is_said():
    surrogate = DefendedModel(lambda x: classifier(1 - x))
    assert target_of("oblivious", SYSTEM, classifier).logits is classifier
    assert target_of("oblivious", SYSTEM, classifier).purify is None
    assert target_of("transfer", SYSTEM, surrogate=surrogate) is surrogate
    assert target_of("end_to_end", SYSTEM) is SYSTEM
    for name, words in (
        ("oblivious", "no classifier"),
        ("transfer", "no surrogate"),
        ("white", "Unknown threat"),
    ):
        with pytest.raises(UserError, match=words):
            target_of(name, SYSTEM)


def gradient(logits):
    with tf.GradientTape() as tape:
        tape.watch(IMAGES)
        value = tf.reduce_sum(logits(IMAGES)[:, 3])
    return tape.gradient(value, IMAGES, unconnected_gradients="zero").numpy()


def test_bpda_has_the_systems_logits_and_the_identitys_gradient():
    bpda = straight_through(SYSTEM, classifier)
    np.testing.assert_array_equal(bpda.logits(IMAGES), SYSTEM.logits(IMAGES))
    assert not gradient(SYSTEM.logits).any()
    expected = np.broadcast_to(WEIGHTS.numpy()[:, 3].reshape(28, 28, 1), IMAGES.shape)
    np.testing.assert_allclose(gradient(bpda.logits), expected, rtol=1e-6)
    with pytest.raises(UserError, match="without purify"):
        straight_through(DefendedModel(classifier), classifier)


def test_bpda_passes_through_a_keras_model():
    import keras

    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Conv2D(1, 3, padding="same")])
    bpda = straight_through(DefendedModel(lambda x: classifier(model(x)), purify=model), classifier)
    expected = np.broadcast_to(WEIGHTS.numpy()[:, 3].reshape(28, 28, 1), IMAGES.shape)
    np.testing.assert_allclose(gradient(tf.function(bpda.logits)), expected, rtol=1e-6)


def test_the_expectation_is_the_mean_over_fresh_draws():
    def sample(images, seeds):
        noise = tf.map_fn(
            lambda seed: tf.random.stateless_normal([784], seed),
            seeds,
            fn_output_signature=tf.float32,
        )
        return tf.reshape(images, (-1, 784)) + noise

    system = DefendedModel(
        classifier, decode=lambda z: tf.reshape(z, (-1, 28, 28, 1)), sample=sample
    )
    scale = np.linalg.norm(WEIGHTS.numpy(), axis=0)
    off = {}
    for draws in (1, 64):
        mean = expectation(system, classifier, draws).logits(IMAGES)
        off[draws] = np.sqrt(np.mean(np.square((mean - classifier(IMAGES)) / scale)))
    # Standard normal noise: the deviation of the mean falls with the root of the draws.
    assert 0.6 < off[1] < 1.6 and 0.6 / 8 < off[64] < 1.6 / 8
    one = expectation(system, classifier, 2)
    np.testing.assert_allclose(
        one.logits(IMAGES)[2:3], one.logits(IMAGES[2:3]), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(UserError, match="without sample and decode"):
        expectation(SYSTEM, classifier, 2)
    with pytest.raises(UserError, match="received 0"):
        expectation(system, classifier, 0)


def test_latent_matching_sees_the_code_alone():
    prototypes = tf.constant(np.random.default_rng(2).random((10, 3)), tf.float32)
    system = DefendedModel(classifier, encode=lambda x: tf.reshape(x, (-1, 784))[:, :3])
    found = latent_matching(system, prototypes).logits(IMAGES).numpy()
    codes = IMAGES.numpy().reshape(4, -1)[:, :3]
    expected = [
        [-np.sum((code - prototype) ** 2) for prototype in prototypes.numpy()] for code in codes
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(UserError, match="without encode"):
        latent_matching(DefendedModel(classifier), prototypes)
