"""The layer in front of a model: values, gradients, frozen weights, and files that another process loads."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.errors import UserError

LOADER = """
import sys, numpy as np, keras
import madvae_tf.api
model = keras.saving.load_model(sys.argv[1])
np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), verbose=0))
"""


def images_of(toy):
    return (toy.squares(5, seed=4)[0] / 255).astype(np.float32)


def test_values_and_gradients_are_those_of_the_composition(fitted, toy):
    defense, classifier, _ = fitted
    x = tf.constant(images_of(toy))
    model = keras.Sequential([madvae_tf.Purifier(defense), classifier])
    np.testing.assert_allclose(model(x, training=True), defense.predict_proba(x.numpy()), atol=1e-6)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        value = model(x)[:, 3]
        mean, _ = defense.purifier.encode(x)
        by_parts = classifier(tf.sigmoid(defense.purifier.decode_logits(mean)))[:, 3]
    expected = tape.gradient(by_parts, x).numpy()
    assert np.abs(expected).max() > 1e-6
    np.testing.assert_allclose(tape.gradient(value, x), expected, rtol=1e-3, atol=1e-7)


def test_training_around_it_leaves_it_as_it_is(fitted, toy):
    layer = madvae_tf.Purifier(fitted[0])
    model = keras.Sequential([keras.Input((28, 28, 1)), layer, toy.linear()])
    before = [np.array(weight) for weight in layer.get_weights()]
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    images, labels = toy.squares(16)
    model.fit(images / 255.0, labels, epochs=2, verbose=0)
    assert not np.array_equal(model.layers[-1].get_weights()[0], toy.templates())
    for old, weight in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(old, weight)


def test_another_process_loads_a_model_with_it(fitted, toy, tmp_path):
    x = images_of(toy)
    model = keras.Sequential([keras.Input((28, 28, 1)), madvae_tf.Purifier(fitted[0]), toy.linear()])
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    arguments = [str(tmp_path / name) for name in ("model.keras", "y.npy", "x.npy")]
    process = subprocess.run(
        [sys.executable, "-c", LOADER, *arguments], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x), atol=1e-4)


def test_something_else_is_refused(toy):
    with pytest.raises(UserError, match="Invalid defense: received Sequential"):
        madvae_tf.Purifier(toy.linear())
