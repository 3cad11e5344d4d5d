"""Perturbation sets: steps and projections against their definitions, pixel by pixel in float64."""

import functools

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.perturbation_sets import (
    L2Ball,
    LinfBall,
    MixedNormBall,
    SlopedL2Ball,
    ThresholdL2Ball,
)

generator = np.random.default_rng(5)
IMAGES = generator.uniform(0, 1, (6, 28, 28, 1)).astype(np.float32)
IMAGES[:, :14] = 0.0  # as MNIST's border: there the box holds back half of the steps
NOISE = generator.uniform(-1, 1, IMAGES.shape).astype(np.float32)
GRADIENT = generator.normal(0, 1e-3, IMAGES.shape).astype(np.float32)


def norms(difference):
    return np.sqrt((difference.astype(np.float64) ** 2).sum(axis=(1, 2, 3)))


def l2_by_hand(x, difference, radius):
    out = np.empty_like(x)
    for i, (image, moved) in enumerate(zip(x, difference.astype(np.float64), strict=True)):
        length = np.sqrt((moved**2).sum())
        out[i] = np.clip(image + (moved * radius / length if length > radius else moved), 0, 1)
    return out


# Every other image within L-infinity 0.3, the rest within L2 2.0.
IN_BOTH = [(LinfBall, 1.0), (L2Ball, 2.0 / 0.3)]


def test_an_l2_step_by_hand():
    ball = L2Ball(IMAGES, 2.0)
    start = ball.start(NOISE).numpy()
    far = NOISE * (2.0 / norms(NOISE))[:, None, None, None]
    np.testing.assert_allclose(start, l2_by_hand(IMAGES, far, 2.0 + 1e-6), atol=1e-6)
    step = GRADIENT * (0.7 / norms(GRADIENT))[:, None, None, None]
    np.testing.assert_allclose(
        ball.step(start, GRADIENT, 0.7), l2_by_hand(IMAGES, start + step - IMAGES, 2.0), atol=1e-6
    )
    assert (norms(start - IMAGES) <= 2.0 + 1e-5).all() and (norms(start - IMAGES) > 0.5).all()


def test_no_gradient_no_step():
    ball = L2Ball(IMAGES, 2.0)
    start = ball.start(NOISE)
    np.testing.assert_allclose(ball.step(start, tf.zeros_like(start), 0.7), start, atol=1e-6)
    np.testing.assert_array_equal(ball.step(IMAGES, tf.zeros_like(start), 0.7), IMAGES)
    assert np.isfinite(L2Ball(IMAGES, 0.0).start(NOISE)).all()


def test_both_are_the_two_in_turn():
    both, linf, l2 = MixedNormBall(IMAGES, 0.3, IN_BOTH), LinfBall(IMAGES, 0.3), L2Ball(IMAGES, 2.0)
    start = both.start(NOISE)
    np.testing.assert_allclose(start[::2], linf.start(NOISE)[::2], atol=1e-6)
    np.testing.assert_allclose(start[1::2], l2.start(NOISE)[1::2], atol=1e-6)
    climbed = both.step(start, GRADIENT, 0.375)
    np.testing.assert_allclose(climbed[::2], linf.step(start, GRADIENT, 0.375)[::2], atol=1e-6)
    np.testing.assert_allclose(climbed[1::2], l2.step(start, GRADIENT, 2.5)[1::2], atol=1e-6)


def squash(x):
    return tf.sigmoid(20.0 * (x - 0.5))


CROSSING = (functools.partial(ThresholdL2Ball, squash=squash), 2.0 / 0.3)


def test_a_crossing_step_brings_more_through_a_squash_than_a_step_along_the_gradient():
    crossing, plain = ThresholdL2Ball(IMAGES, 2.0, squash), L2Ball(IMAGES, 2.0)
    # The gradient with respect to the squashed images is GRADIENT: what a step brings is linear in
    # them.
    brought = {}
    for name, ball in (("crossing", crossing), ("plain", plain)):
        moved = ball.step(IMAGES, ball.accumulate(tf.zeros_like(IMAGES), GRADIENT), 2.0).numpy()
        assert (norms(moved - IMAGES) <= 2.0 + 1e-5).all() and moved.min() >= 0 and moved.max() <= 1
        effect = squash(moved).numpy().astype(np.float64) - squash(IMAGES).numpy()
        brought[name] = (effect * GRADIENT).sum(axis=(1, 2, 3))
    assert (brought["crossing"] > 1.3 * brought["plain"]).all()


def test_a_crossing_ball_sums_the_scaled_gradients_and_the_others_take_the_last():
    first = np.roll(GRADIENT, 1, axis=0) * 50
    scaled = [g / np.abs(g).mean(axis=(1, 2, 3), keepdims=True) for g in (first, GRADIENT)]
    crossing = ThresholdL2Ball(IMAGES, 2.0, squash)
    past = crossing.accumulate(tf.zeros_like(IMAGES), first)
    np.testing.assert_allclose(
        crossing.accumulate(past, GRADIENT), sum(scaled), rtol=1e-4, atol=1e-5
    )
    both = MixedNormBall(IMAGES, 0.3, [(LinfBall, 1.0), CROSSING])
    past = both.accumulate(tf.zeros_like(IMAGES), first)
    along = both.accumulate(past, GRADIENT).numpy()
    np.testing.assert_allclose(along[1::2], sum(scaled)[1::2], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(along[::2], GRADIENT[::2])
    climbed = both.step(IMAGES, along, 0.3)
    np.testing.assert_allclose(climbed[1::2], crossing.step(IMAGES, along, 0.0)[1::2], atol=1e-6)
    for ball in (LinfBall(IMAGES, 0.3), L2Ball(IMAGES, 2.0)):
        np.testing.assert_array_equal(ball.accumulate(first, GRADIENT), GRADIENT)


def test_a_sloped_ball_steps_as_a_plain_one_does_with_the_whole_gradient():
    # By hand: the derivative of sigmoid(20 (x - 0.5)) is 20 s (1 - s).
    s = 1 / (1 + np.exp(-20.0 * (IMAGES.astype(np.float64) - 0.5)))
    whole = (GRADIENT * 20 * s * (1 - s)).astype(np.float32)
    got = SlopedL2Ball(IMAGES, 2.0, squash).step(tf.constant(IMAGES), tf.constant(GRADIENT), 1.0)
    np.testing.assert_allclose(got, L2Ball(IMAGES, 2.0).step(IMAGES, whole, 1.0), atol=1e-5)
    assert np.abs(got - L2Ball(IMAGES, 2.0).step(IMAGES, GRADIENT, 1.0)).max() > 0.05


def test_three_kinds_take_every_third_image():
    turns = MixedNormBall(IMAGES, 0.3, [*IN_BOTH, CROSSING])
    past = turns.accumulate(tf.zeros_like(IMAGES), GRADIENT)
    climbed = turns.step(IMAGES, past, 0.15).numpy()
    crossing = ThresholdL2Ball(IMAGES, 2.0, squash)
    expected = (
        LinfBall(IMAGES, 0.3).step(IMAGES, GRADIENT, 0.15),
        L2Ball(IMAGES, 2.0).step(IMAGES, GRADIENT, 1.0),
        crossing.step(IMAGES, crossing.accumulate(tf.zeros_like(IMAGES), GRADIENT), 0.0),
    )
    for turn, alone in enumerate(expected):
        np.testing.assert_allclose(climbed[turn::3], alone[turn::3], atol=1e-5)


def test_both_take_an_odd_batch():
    both = MixedNormBall(IMAGES[:5], 0.3, IN_BOTH)
    start = both.start(NOISE[:5])
    np.testing.assert_allclose(start[4], LinfBall(IMAGES, 0.3).start(NOISE)[4], atol=1e-6)
    np.testing.assert_allclose(start[3], L2Ball(IMAGES, 2.0).start(NOISE)[3], atol=1e-6)
