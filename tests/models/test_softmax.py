"""The logits before a Keras model's softmax, wherever the softmax stands."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.external_classifier import adapt
from madvae_tf.models.softmax import without_softmax

RNG = np.random.default_rng(0)
IMAGES = RNG.random((5, 28, 28, 1), np.float32)
KERNEL, BIAS = 0.1 * RNG.standard_normal((784, 10)), RNG.standard_normal(10)
# In float64, so that no model's arithmetic is repeated.
EXPECTED = IMAGES.reshape(5, 784).astype(np.float64) @ KERNEL + BIAS


def dense(activation=None, factor=1.0):
    layer = keras.layers.Dense(10, activation=activation)
    layer.build((None, 784))
    layer.set_weights([factor * KERNEL, factor * BIAS])
    return layer


def sequence(*last):
    return keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), *last])


def functional(head):
    inputs = keras.Input((28, 28, 1))
    return keras.Model(inputs, head(keras.layers.Flatten()(inputs)))


MODELS = {
    "dense": lambda: sequence(dense("softmax")),
    "layer": lambda: sequence(dense(), keras.layers.Softmax()),
    "activation": lambda: sequence(dense(), keras.layers.Activation("softmax")),
    "functional": lambda: functional(dense("softmax")),
    "functional, layer": lambda: functional(lambda x: keras.layers.Softmax()(dense()(x))),
    "nested": lambda: keras.Sequential([keras.Input((28, 28, 1)), sequence(dense("softmax"))]),
    "noise in front": lambda: keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.GaussianNoise(1.0),
            sequence(dense(), keras.layers.Softmax()),
        ]
    ),
}


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_the_logits_are_what_the_softmax_is_given(model):
    model = model()
    np.testing.assert_allclose(np.asarray(without_softmax(model)(IMAGES)), EXPECTED, atol=1e-4)
    adapted = adapt(model, IMAGES)
    assert adapted.outputs == "probabilities" and adapted.logits is not None
    np.testing.assert_allclose(adapted(IMAGES), EXPECTED, atol=1e-4)
    # Nothing of the model is changed: it still gives probabilities.
    np.testing.assert_allclose(np.asarray(model(IMAGES, training=False)).sum(axis=1), 1, atol=1e-5)


class Own(keras.Model):
    """A subclass shows no layers in order."""

    def __init__(self):
        super().__init__()
        self.head = sequence(dense("softmax"))

    def call(self, images):
        return self.head(images)


class Turned(keras.Sequential):
    """Its layers do not say what it does."""

    def call(self, inputs, training=None, mask=None):
        return super().call(1 - inputs)


def test_what_does_not_show_its_softmax_keeps_the_logarithm():
    for model in (
        sequence(dense()),
        sequence(dense("sigmoid")),
        Own(),
        sequence(dense(), keras.layers.Softmax(axis=0)),
    ):
        assert without_softmax(model) is None
    turned = Turned([keras.Input((28, 28, 1)), keras.layers.Flatten(), dense("softmax")])
    for model, x in ((Own(), IMAGES), (turned, 1 - IMAGES)):
        adapted = adapt(model, IMAGES)
        assert adapted.outputs == "probabilities" and adapted.logits is None
        expected = x.reshape(5, 784).astype(np.float64) @ KERNEL + BIAS
        given = adapted(IMAGES).numpy()
        # Equal but for one number per image.
        difference = given - expected
        np.testing.assert_allclose(difference, difference[:, :1] + np.zeros((1, 10)), atol=1e-3)


def test_a_very_sure_model_keeps_its_gradient():
    """The margin of class 0 over class 1 climbs along the difference of their columns, however sure
    the model is.
    """
    adapted = adapt(sequence(dense("softmax", factor=200.0)), IMAGES)
    x = tf.constant(IMAGES)
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = adapted(x)
        margin = logits[:, 0] - logits[:, 1]
    expected = 200 * np.tile(KERNEL[:, 0] - KERNEL[:, 1], (5, 1))
    np.testing.assert_allclose(
        tape.gradient(margin, x).numpy().reshape(5, 784), expected, rtol=1e-3, atol=1e-4
    )


def test_the_weights_are_the_models_own():
    model = sequence(dense("softmax"))
    logits = without_softmax(model)
    model.layers[-1].set_weights([2 * KERNEL, 2 * BIAS])
    np.testing.assert_allclose(np.asarray(logits(IMAGES)), 2 * EXPECTED, atol=1e-3)
