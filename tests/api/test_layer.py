"""The layer in front of a model: values, gradients, frozen weights, and files that another process
loads.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.utils.errors import UserError
from tests import processes

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
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), madvae_tf.Purifier(fitted[0]), toy.linear()]
    )
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", x)
    arguments = [str(tmp_path / name) for name in ("model.keras", "y.npy", "x.npy")]
    process = processes.run(["-c", LOADER, *arguments])
    assert process.returncode == 0, process.stderr[-2000:]
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x), atol=1e-4)


def test_bytes_are_what_purify_makes_of_them(fitted, toy):
    """Called, in tf.data, behind an Input of bytes and in its export: the bytes' own images; behind
    an Input of floats Keras has cast them, and that is said.
    """
    defense = fitted[0]
    images = toy.squares(5, seed=4)[0]
    expected = defense.purify(images)
    layer = madvae_tf.Purifier(defense)
    np.testing.assert_allclose(layer(images), expected, atol=1e-6)
    (mapped,) = tf.data.Dataset.from_tensors(images).map(layer)
    np.testing.assert_allclose(mapped, expected, atol=1e-6)
    model = keras.Sequential([keras.Input((28, 28, 1), dtype="uint8"), layer])
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)
    floats = keras.Sequential([keras.Input((28, 28, 1)), layer])
    np.testing.assert_allclose(
        floats.predict(images / np.float32(255), verbose=0), expected, atol=1e-6
    )
    for wrong in (images, images / 127.5 - 1):
        with pytest.raises(
            tf.errors.InvalidArgumentError, match=r"Invalid images of the layer Purifier"
        ):
            floats.predict(wrong, verbose=0)
        with pytest.raises(UserError, match=r"expected \[0, 1\]"):
            layer(tf.constant(wrong, tf.float32))


def test_an_export_with_the_layer_refuses_what_is_no_image(fitted, toy, tmp_path):
    images = toy.squares(3, seed=4)[0]
    model = keras.Sequential([keras.Input((28, 28, 1)), madvae_tf.Purifier(fitted[0])])
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    np.testing.assert_allclose(
        loaded.serve(tf.constant(images / 255, tf.float32)), fitted[0].purify(images), atol=1e-6
    )
    with pytest.raises(
        tf.errors.InvalidArgumentError, match="expected .0, 1.: divide bytes by 255"
    ):
        loaded.serve(tf.constant(images, tf.float32))


def test_roundings_are_clipped_and_other_dtypes_and_shapes_refused(fitted):
    layer = madvae_tf.Purifier(fitted[0])
    edge = tf.fill((1, 28, 28, 1), 1 + 5e-7)
    np.testing.assert_array_equal(layer(edge), layer(tf.ones((1, 28, 28, 1))))
    with pytest.raises(UserError, match="received dtype int32"):
        layer(tf.zeros((1, 28, 28, 1), tf.int32))
    with pytest.raises(ValueError, match="expected axis 1 of input shape to have value 28"):
        layer(tf.zeros((1, 32, 32, 1)))


def test_something_else_is_refused(toy):
    with pytest.raises(UserError, match="Invalid defense: received Sequential"):
        madvae_tf.Purifier(toy.linear())
