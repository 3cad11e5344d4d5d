"""The adversarial game: the penalty by hand, what each step trains, exact resume, and MAD-VAE's
losses on latents.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.batches import CleanImages, training_dataset
from madvae_tf.data.prepare import Split
from madvae_tf.models.gan import Critic, Generator
from madvae_tf.training.gan import GanTrainer, gradient_penalty
from madvae_tf.training.loop import train
from tests.small import SmallClassifier

RNG = np.random.default_rng(0)
SPLIT = Split(RNG.integers(0, 256, (40, 28, 28, 1), dtype=np.uint8), RNG.integers(0, 10, 40))
WEIGHTS = {"kl": 0.1, "classification": 0.1, "proximity": 0.01, "distance": 1e-3}


def make(weights=None, critic_steps=2):
    keras.utils.set_random_seed(1)
    return GanTrainer(
        Generator(6, 2),
        Critic(2),
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        keras.optimizers.Adam(1e-3, beta_1=0.5),
        critic_steps,
        seed=3,
        weights=weights,
        classifier=SmallClassifier() if weights else None,
    )


def values(variables):
    return [np.array(variable) for variable in variables]


def same(before, after):
    return [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("norm", [1.0, 3.0])
def test_the_penalty_of_a_linear_critic_is_its_slope(norm):
    """The gradient of <w, x> is w wherever it is taken, so the penalty is (|w| - 1)^2."""
    slope = RNG.standard_normal((1, 28, 28, 1)).astype(np.float32)
    slope *= norm / np.linalg.norm(slope)
    images = tf.constant(RNG.random((2, 4, 28, 28, 1)), tf.float32)
    mix = tf.constant([0.0, 0.3, 0.7, 1.0])
    penalty = gradient_penalty(
        lambda x: tf.reduce_sum(slope * x, axis=(1, 2, 3)), images[0], images[1], mix
    )
    np.testing.assert_allclose(penalty, np.full(4, (norm - 1) ** 2), atol=1e-5)


def test_the_penalty_is_taken_between_the_real_and_the_generated_image():
    """The gradient of |x|^2 / 2 is x: the penalty is (|x'| - 1)^2 at the mixed image."""
    real, fake = (RNG.random((3, 28, 28, 1)).astype(np.float32) for _ in range(2))
    mix = np.array([0.0, 0.25, 1.0], np.float32)
    between = mix[:, None, None, None] * real + (1 - mix)[:, None, None, None] * fake
    expected = (np.sqrt((between**2).sum(axis=(1, 2, 3))) - 1) ** 2
    got = gradient_penalty(
        lambda x: 0.5 * tf.reduce_sum(x**2, axis=(1, 2, 3)),
        tf.constant(real),
        tf.constant(fake),
        tf.constant(mix),
    )
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_a_step_trains_generator_and_critic_and_counts_once():
    trainer = make()
    generator, critic = (
        values(trainer.generator.trainable_weights),
        values(trainer.critic.trainable_weights),
    )
    images = tf.constant(SPLIT.images[:8] / np.float32(255))
    logs = tf.function(trainer.train_step)({"x": images})
    assert set(logs) == {"loss", "adversarial", "critic", "wasserstein", "penalty"}
    assert not any(same(generator, values(trainer.generator.trainable_weights)))
    # The score's own bias has no gradient: both scores hold it, and the penalty does not.
    assert sum(same(critic, values(trainer.critic.trainable_weights))) <= 1
    assert int(trainer.optimizer.iterations) == 1 and int(trainer.critic_optimizer.iterations) == 2
    assert trainer.centers is None


def test_mad_losses_reach_the_centres_and_spreads():
    trainer = make(WEIGHTS)
    before = values([trainer.centers, trainer.log_spreads])
    step = tf.function(trainer.train_step)
    for number in range(3):
        logs = step({"x": tf.constant(SPLIT.images[8 * number : 8 * number + 8] / np.float32(255))})
    assert set(WEIGHTS) <= set(logs)
    after = values([trainer.centers, trainer.log_spreads])
    assert not any(same(before, after))


def test_latents_are_drawn_around_the_centre_of_their_class():
    trainer = make(WEIGHTS)
    trainer.log_spreads.assign(np.log(np.arange(1.0, 11.0)).astype(np.float32))
    noise = RNG.standard_normal((3, 6)).astype(np.float32)
    label = np.array([4, 0, 9])
    expected = np.array(trainer.centers)[label] + (label + 1.0)[:, None] * noise
    np.testing.assert_allclose(
        trainer.latents(tf.constant(label), tf.constant(noise)), expected, rtol=1e-5
    )


class Kill(keras.callbacks.Callback):
    """Stands for a kill after a step."""

    def on_train_batch_end(self, batch, logs=None):
        if batch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_killed_training_ends_as_an_unbroken_one(tmp_path, weights):
    images = CleanImages(SPLIT)

    def run(folder, *callbacks):
        trainer = make(weights)
        train(
            trainer,
            lambda start: training_dataset(images, 8, 3, start, 5),
            5,
            1,
            tf.distribute.get_strategy(),
            folder,
            2,
            callbacks,
        )
        return values(trainer.weights)

    unbroken = run(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "b", Kill())
    for one, other in zip(unbroken, run(tmp_path / "b"), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
