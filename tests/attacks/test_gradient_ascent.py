"""The loop of the gradient attacks against the same steps in NumPy, hook by hook."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks.adam import Moments
from madvae_tf.attacks.gradient_ascent import gradient_ascent
from madvae_tf.attacks.perturbation_sets import LinfBall

X = np.full((3, 1, 2, 1), 0.5, np.float32)
# The loss is largest there: the first image walks to it and back and forth, the second reaches it
# in one step, the third in none.
TOP = np.array([0.72, 0.6, 0.5], np.float32)[:, None, None, None] * np.ones_like(X)
SIZE, ITERATIONS = 0.1, 5
# Images whose first value is beyond this are misclassified: the first image is after two steps, the
# others never.
BEYOND = 0.65


def ascended(**hooks):
    """What the loop gives, and how often it asks for the loss."""
    asked = []

    def loss(x):
        asked.append(x)
        value = -tf.reduce_sum(tf.square(x - TOP), axis=[1, 2, 3])
        return value, 2 * (TOP - x), x[:, 0, 0, 0] > BEYOND

    options = {"iterations": ITERATIONS, "step_size": SIZE, **hooks}
    return gradient_ascent(loss, LinfBall(X, 0.3), tf.constant(X), **options).numpy(), len(asked)


def iterates(step_size=lambda index: SIZE, decay=0.0):
    """x_0, x_1, ... of each image, by hand."""
    x, along, found = X.astype(np.float64), np.zeros_like(X, float), [X.astype(np.float64)]
    for index in range(ITERATIONS):
        along = decay * along + 2 * (TOP - x)
        x = np.clip(x + step_size(index) * np.sign(np.round(along, 6)), 0.2, 0.8)
        found.append(x)
    return found


def test_the_last_iterate_comes_back_after_so_many_looks():
    found, looks = ascended()
    np.testing.assert_allclose(found[0], iterates()[-1][0], atol=1e-6)
    assert looks == ITERATIONS


def test_no_step_is_the_start():
    found, looks = ascended(iterations=0)
    np.testing.assert_array_equal(found, X)
    assert looks == 0


def test_the_first_that_fools_or_the_last():
    found, looks = ascended(keep="first")
    # 0.5, 0.6, 0.7: the first beyond 0.65. The second image never is.
    np.testing.assert_allclose(found[0], 0.7, atol=1e-6)
    np.testing.assert_allclose(found[1], iterates()[-1][1], atol=1e-6)
    assert looks == ITERATIONS


@pytest.mark.parametrize("early", [True, False])
def test_the_best_is_the_largest_loss_of_those_that_fool(early):
    sizes = [0.1, 0.06, 0.05, 0.03, 0.03]
    found, looks = ascended(
        keep="best", early=early, step_size=lambda index: tf.gather(sizes, index)
    )
    walked = iterates(lambda index: sizes[index])
    fooling = [x[0] for x in walked if x[0, 0, 0, 0] > BEYOND]
    nearest = min(fooling, key=lambda x: np.abs(x - TOP[0]).max())
    assert len(fooling) > 1 and np.abs(nearest - fooling[0]).max() > 0.02
    np.testing.assert_allclose(found[0], fooling[0] if early else nearest, atol=1e-6)
    # The other two never fool: of all their iterates the nearest to the top.
    for image in (1, 2):
        every = [x[image] for x in walked]
        np.testing.assert_allclose(
            found[image], min(every, key=lambda x: np.abs(x - TOP[image]).max()), atol=1e-6
        )
    assert looks == ITERATIONS + 1


def test_early_ends_the_loop_once_every_image_fools():
    def loss(x):
        asked.append(x)
        return tf.zeros(3), tf.ones_like(x), x[:, 0, 0, 0] > BEYOND

    asked = []
    found = gradient_ascent(loss, LinfBall(X, 0.3), tf.constant(X), 100, 0.1, "first")
    np.testing.assert_allclose(found, 0.7, atol=1e-6)
    assert len(asked) == 3


def test_steps_go_along_what_is_accumulated():
    found, _ = ascended(iterations=4, accumulate=lambda past, gradient: 0.9 * past + gradient)
    walked = iterates(decay=0.9)[4]
    np.testing.assert_allclose(found[0], walked[0], atol=1e-6)
    assert np.abs(walked[0] - iterates()[4][0]).max() > 0.05


def test_a_step_of_no_momentum_is_the_gradient_over_its_size():
    """Adam's first step: the moments without their bias are the gradient and its square."""
    gradient = np.array([[3.0, -0.5]], np.float32)
    moments = Moments.zeros_like(tf.constant(gradient)).updated(tf.constant(gradient))
    for step in (moments.step, moments.corrected_step):
        np.testing.assert_allclose(step(0.01, tf.constant(0)), [[0.01, -0.01]], rtol=1e-4)


def test_adam_by_hand():
    gradients = np.random.default_rng(0).normal(size=(6, 4))
    first, second, moments = 0.0, 0.0, Moments.zeros_like(tf.zeros(4))
    for index, gradient in enumerate(gradients):
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        expected = (
            0.05 * (first / (1 - 0.9 ** (index + 1))) / np.sqrt(second / (1 - 0.999 ** (index + 1)))
        )
        moments = moments.updated(tf.constant(gradient, tf.float32))
        for step in (moments.step, moments.corrected_step):
            np.testing.assert_allclose(step(0.05, tf.constant(index)), expected, rtol=1e-3)
