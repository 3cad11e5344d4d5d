"""The objectives by hand, their invariances, and the goal classes."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks.objectives import OBJECTIVES, ascent, goal_class, log_odds

Z = tf.constant([[4.0, 1.0, 7.0, 2.0, 0.0]] * 2)
Y = tf.constant([0, 2], tf.int64)
GOAL = tf.constant([3, 0], tf.int64)
# Sorted: 7, 4, 2, 1, 0. For y = 0 the best other class has 7, for y = 2 it has 4.
BY_HAND = {
    "cross_entropy": np.log(np.exp([4, 1, 7, 2, 0]).sum()) - np.array([4, 7]),
    "margin": [3, -3],
    "margin_capped": [0.1, -3],
    "dlr": [3 / 5, -3 / 5],
    "dlr_targeted": [(2 - 4) / (7 - 1.5), (4 - 7) / (7 - 1.5)],
    "margin_targeted": [-2, -3],
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_by_hand(name):
    np.testing.assert_allclose(OBJECTIVES[name](Z, Y, GOAL), BY_HAND[name], rtol=1e-5)


@pytest.mark.parametrize("name", ["dlr", "dlr_targeted"])
def test_ratios_do_not_see_shift_and_scale(name):
    np.testing.assert_allclose(OBJECTIVES[name](1000 * Z - 7, Y, GOAL), BY_HAND[name], rtol=1e-5)
    assert np.isfinite(OBJECTIVES[name](tf.zeros((2, 5)), Y, GOAL)).all()


@pytest.mark.parametrize("scale", [1.0, 20.0, 1e4])
def test_the_cross_entropy_is_climbed_however_sure_the_classifier_is(scale):
    """By the log-odds, of which it is log(1 + exp(.)); the direction is softmax - one-hot, with the
    factor 1 - p_y taken out.
    """
    kernel = tf.constant(np.random.default_rng(0).normal(size=(784, 10)), tf.float32)
    bias = scale * tf.constant([9.0, 5, 4, 3, 3, 2, 1, 0, 0, 0])
    y = tf.zeros(2, tf.int64)
    _, gradient, _ = ascent(
        lambda x: tf.reshape(x, (-1, 784)) @ kernel + bias,
        "cross_entropy",
        tf.zeros((2, 28, 28, 1)),
        y,
        y,
    )
    others = np.exp(bias[1:].numpy().astype(float) - float(bias[1]))
    direction = kernel.numpy().astype(float) @ np.concatenate([[-1], others / others.sum()])
    np.testing.assert_allclose(gradient[0].numpy().ravel(), direction, rtol=1e-3, atol=1e-4)


def test_log_odds_are_those_of_the_softmax():
    p = np.exp(Z.numpy().astype(float)) / np.exp(Z.numpy().astype(float)).sum(axis=1, keepdims=True)
    right = p[[0, 1], Y.numpy()]
    np.testing.assert_allclose(log_odds(Z, Y), np.log((1 - right) / right), rtol=1e-5)
    np.testing.assert_allclose(
        np.log1p(np.exp(log_odds(Z, Y))), BY_HAND["cross_entropy"], rtol=1e-5
    )


def test_goal_classes_are_the_wrong_ones_in_order():
    ranked = [goal_class(Z, Y, tf.constant(rank)).numpy().tolist() for rank in range(4)]
    assert ranked == [[2, 0], [3, 3], [1, 1], [4, 4]]


def test_one_look_gives_value_gradient_and_success():
    def logits(x):
        return tf.stack([tf.reduce_sum(x, [1, 2, 3]), 2 * x[:, 0, 0, 0], x[:, 1, 1, 0]], 1)

    x = tf.ones((1, 28, 28, 1))
    value, gradient, fooled = ascent(
        logits, "margin", x, tf.constant([1], tf.int64), tf.constant([1], tf.int64)
    )
    assert value.numpy() == [782.0] and fooled.numpy() == [True]
    expected = np.ones((1, 28, 28, 1))
    expected[0, 0, 0] = -1
    np.testing.assert_array_equal(gradient, expected)


def test_a_target_that_passes_no_gradient_on_gives_zeros():
    _, gradient, _ = ascent(
        lambda x: tf.stop_gradient(tf.reshape(x, (-1, 784))[:, :10]),
        "dlr",
        tf.ones((2, 28, 28, 1)),
        Y,
        GOAL,
    )
    assert gradient.shape == (2, 28, 28, 1) and not gradient.numpy().any()
