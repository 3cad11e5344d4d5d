"""AutoencoderTrainer: noise and losses by hand, and two that are trained together against each
alone.
"""

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.models.magnet import MagNetAutoencoder
from madvae_tf.training.autoencoder import AutoencoderTrainer


def make(kinds, optimizer=None, noise=0.1):
    autoencoders = []
    for pooling in kinds:
        keras.utils.set_random_seed(4)
        autoencoders.append(MagNetAutoencoder(pooling))
    trainer = AutoencoderTrainer(autoencoders, noise, seed=9)
    trainer.compile(optimizer=optimizer or keras.optimizers.Adam(1e-2))
    return trainer


def test_the_noise_is_gaussian_clipped_and_drawn_from_seed_and_step(batch):
    trainer = make([False])
    x = tf.constant(batch["x"])
    first, again, next_step = (trainer.noisy(x, tf.constant(step)).numpy() for step in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    expected = np.clip(x + 0.1 * tf.random.stateless_normal(x.shape, [9, 3], alg="philox"), 0, 1)
    np.testing.assert_array_equal(first, expected)
    assert 0.05 < np.abs(first - next_step)[(first > 0) & (first < 1)].std() < 0.2


def test_the_losses_are_mean_squares_of_each(batch):
    trainer = make([True, False], keras.optimizers.SGD(0.0))
    x = batch["x"]
    for logs, given in (
        (trainer.test_step(batch), x),
        (trainer.train_step(batch), trainer.noisy(x, tf.constant(0))),
    ):
        errors = [np.mean((model(given).numpy() - x) ** 2) for model in trainer.autoencoders]
        np.testing.assert_allclose(
            [logs["loss_1"], logs["loss_2"], logs["loss"]], [*errors, sum(errors)], 1e-5
        )


def test_each_learns_what_it_learns_alone(batch):
    losses = []
    trainers = [make([True, False]), make([True]), make([False])]
    for trainer in trainers:
        losses.append([float(trainer.train_step(batch)["loss"]) for _ in range(4)])
    together = [model.get_weights() for model in trainers[0].autoencoders]
    alone = [trainer.autoencoders[0].get_weights() for trainer in trainers[1:]]
    for one, other in zip(together, alone, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)
    assert losses[0][-1] < 0.99 * losses[0][0]
