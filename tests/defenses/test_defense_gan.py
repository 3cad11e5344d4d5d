"""Projection against a NumPy loop, independence of the batch, and the trained defence from disk."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.prepare import Split
from madvae_tf.defenses.base import TrainingInputs
from madvae_tf.defenses.defense_gan import DefenseGan, MadGan
from madvae_tf.defenses.projection import project, starts
from madvae_tf.models.gan import Critic, Generator
from madvae_tf.training.classifier import build_classifier

RNG = np.random.default_rng(0)
MATRIX = (RNG.standard_normal((3, 784)) / 10).astype(np.float32)


def linear(z):
    return tf.reshape(z @ MATRIX, (-1, 28, 28, 1))


def by_hand(image, start, steps, rate, momentum):
    """Gradient descent with momentum on the mean squared error, the last fifth at a tenth of the
    rate.
    """
    z, velocity = start.astype(np.float64), np.zeros(3)
    for step in range(steps):
        gradient = 2 * MATRIX @ (z @ MATRIX - image) / 784
        velocity = momentum * velocity + gradient
        z = z - (rate if step < int(0.8 * steps) else rate / 10) * velocity
    return z, np.mean((z @ MATRIX - image) ** 2)


def test_the_best_restart_of_momentum_descent_wins():
    images = RNG.random((2, 784)).astype(np.float32)
    first = RNG.standard_normal((3, 3)).astype(np.float32)
    made, z = project(
        linear, tf.constant(images.reshape(2, 28, 28, 1)), tf.constant(first), 10, 4.0, 0.7
    )
    for row in range(2):
        ends = [by_hand(images[row], start, 10, 4.0, 0.7) for start in first]
        best = min(ends, key=lambda end: end[1])[0]
        np.testing.assert_allclose(z[row], best, atol=1e-4)
        np.testing.assert_allclose(np.reshape(made[row], 784), best @ MATRIX, atol=1e-4)


def test_the_gradient_goes_through_every_step_of_the_best_restarts_search():
    """What is made is affine in the image here, so that a difference by hand is its slope."""
    images = RNG.random((2, 784)).astype(np.float32)
    first = RNG.standard_normal((3, 3)).astype(np.float32)
    way, weights = RNG.standard_normal((2, 784)), RNG.standard_normal(784)
    x = tf.constant(images.reshape(2, 28, 28, 1))
    with tf.GradientTape() as tape:
        tape.watch(x)
        made, _ = project(linear, x, tf.constant(first), 10, 4.0, 0.7)
        value = tf.reduce_sum(tf.reshape(made, (2, 784)) * tf.constant(weights, tf.float32))
    slopes = np.sum(np.reshape(tape.gradient(value, x), (2, 784)) * way, axis=1)
    for row in range(2):
        best = min(first, key=lambda start, row=row: by_hand(images[row], start, 10, 4.0, 0.7)[1])
        ends = [
            by_hand(images[row] + side * way[row], best, 10, 4.0, 0.7)[0] for side in (0.5, -0.5)
        ]
        assert slopes[row] == pytest.approx((ends[0] - ends[1]) @ MATRIX @ weights, rel=1e-4)


def test_an_image_of_the_generator_is_found_again():
    wanted = RNG.standard_normal((4, 3)).astype(np.float32)
    made, z = project(
        linear, linear(wanted), tf.constant(RNG.standard_normal((2, 3)), tf.float32), 300, 20.0
    )
    np.testing.assert_allclose(z, wanted, atol=1e-3)
    np.testing.assert_allclose(made, linear(wanted), atol=1e-4)


def test_an_image_alone_ends_as_in_a_batch():
    generator = Generator(6, 2)
    images = tf.constant(RNG.random((5, 28, 28, 1)), tf.float32)
    first = starts(6, 3, 0, None, None)
    together, _ = project(generator, images, first, 5)
    alone, _ = project(generator, images[3:4], first, 5)
    np.testing.assert_allclose(alone[0], together[3], atol=1e-5)


def test_starts_stand_around_the_centres_in_turn():
    centers = tf.constant(100.0 * np.arange(10)[:, None] * np.ones((10, 4)), tf.float32)
    first = starts(4, 12, 0, centers, tf.fill([10], 0.5)).numpy()
    np.testing.assert_allclose(first.mean(axis=1) / 100, np.arange(12) % 10, atol=0.05)
    np.testing.assert_array_equal(starts(4, 12, 0, None, None), starts(4, 12, 0, None, None))


@pytest.mark.parametrize("kind", [DefenseGan, MadGan])
def test_train_and_load(tmp_path, kind):
    split = Split(RNG.integers(0, 256, (30, 28, 28, 1), dtype=np.uint8), RNG.integers(0, 10, 30))
    classifier = build_classifier("table6", 0.0, "float32")
    inputs = TrainingInputs(
        split,
        split,
        None,
        None,
        classifier,
        "table6",
        0,
        "float32",
        tmp_path / "scratch",  # pyright: ignore
    )
    defense = kind(
        iterations=2, width=2, latent_size=4, batch_size=5, critic_steps=2, steps=3, restarts=2
    )
    folder = tmp_path / "folder"
    folder.mkdir()
    defense.train(inputs, folder)
    assert (folder / "centers.npy").exists() == (kind is MadGan)
    assert np.load(folder / "samples.npy").shape == (100, 28, 28, 1)
    system = defense.load(folder, classifier)
    images = RNG.random((3, 28, 28, 1)).astype(np.float32)
    purified = system.purify(images)
    latents = system.encode(images)
    assert purified.shape == (3, 28, 28, 1) and latents.shape == (3, 4)
    # What the overpowered attack counts on.
    np.testing.assert_allclose(system.decode(latents), purified, atol=1e-5)
    np.testing.assert_allclose(system.range_logits(purified), system.logits(images), atol=1e-5)
    np.testing.assert_allclose(tf.function(system.logits)(images), classifier(purified), atol=1e-4)


def test_sizes_of_the_networks():
    """4 x 4 -> 7 x 7 -> 14 x 14 -> 28 x 28 and back; parameters counted by hand."""
    width, latent = 3, 5
    generator, critic = Generator(latent, width), Critic(width)
    dense = (latent + 1) * 16 * 4 * width
    ups = 25 * (4 * width * 2 * width + 2 * width * width + width) + 2 * width + width + 1
    assert generator.count_params() == dense + ups
    downs = 25 * (width + width * 2 * width + 2 * width * 4 * width) + 7 * width
    assert critic.count_params() == downs + 16 * 4 * width + 1
    images = generator(RNG.standard_normal((2, latent)).astype(np.float32))
    assert images.shape == (2, 28, 28, 1) and 0 <= np.min(images) <= np.max(images) <= 1
    assert critic(images).shape == (2,)
