"""Jacobian-based augmentation against a linear model by hand and a curved one by finite
differences.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.evaluation.jacobian import augmentation, jacobian_step

PIXELS = 784


def images(n, seed=0):
    return np.random.default_rng(seed).random((n, 28, 28, 1), dtype=np.float32)


@pytest.fixture(scope="module")
def weights():
    """A third of them zero: those pixels must not move."""
    generator = np.random.default_rng(1)
    return (
        generator.standard_normal((PIXELS, 10)) * (generator.random((PIXELS, 10)) > 0.3)
    ).astype(np.float32)


@pytest.mark.parametrize("step", [0.1, -0.4])
def test_a_linear_model_by_hand(weights, step):
    x, y = images(4), np.array([7, 0, 7, 3])
    x[0] = 1.0
    x[1] = 0.0
    expected = np.clip(x.reshape(4, PIXELS) + np.float32(step) * np.sign(weights[:, y].T), 0, 1)
    assert (
        (expected == 0).any() and (expected == 1).any() and (expected == x.reshape(4, PIXELS)).any()
    )
    moved = jacobian_step(
        lambda v: tf.reshape(v, (-1, PIXELS)) @ weights, tf.constant(x), tf.constant(y), step
    )
    np.testing.assert_allclose(moved.numpy().reshape(4, PIXELS), expected, atol=1e-7)


def test_the_step_raises_the_label_that_was_given_not_another(weights):
    def logits(v):
        return tf.tanh(tf.reshape(v, (-1, PIXELS)) @ weights / 100)

    x, y = images(6), np.arange(6)
    before = logits(x).numpy()
    for sign in (1, -1):
        after = logits(jacobian_step(logits, tf.constant(x), tf.constant(y), sign * 0.01)).numpy()
        changes = sign * (after - before)
        assert (changes[np.arange(6), y] > 0).all()
        assert (changes.argmax(axis=1) == y).all()


def test_batches_are_those_of_the_whole_and_compile_once(weights):
    traces = []

    def logits(v):
        traces.append(v.shape)
        return tf.square(tf.reshape(v, (-1, PIXELS)) @ weights)

    x, y = images(11), np.random.default_rng(3).integers(0, 10, 11)
    whole = jacobian_step(logits, tf.constant(x), tf.constant(y), 0.1).numpy()
    traces.clear()
    augment = augmentation(logits, 0.1, 4)
    np.testing.assert_array_equal(augment(x, y), whole)
    np.testing.assert_array_equal(augment(x[:3], y[:3]), whole[:3])
    assert traces == [(4, 28, 28, 1)]
    assert whole.min() >= 0 and whole.max() <= 1 and whole.dtype == np.float32


def test_it_follows_the_substitute_as_that_learns(weights):
    kernel = tf.Variable(weights)
    augment = augmentation(lambda v: tf.reshape(v, (-1, PIXELS)) @ kernel, 0.1, 2)
    x, y = np.full((2, 28, 28, 1), 0.5, np.float32), np.array([1, 2])
    first = augment(x, y)
    kernel.assign(-weights)
    np.testing.assert_allclose(augment(x, y) - x, x - first, atol=1e-7)
    assert not np.allclose(first, x)
