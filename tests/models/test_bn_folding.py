"""The folded purifier against the one it is made from."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.bn_folding import fold_batch_norm
from madvae_tf.models.layers import BatchNormalization
from madvae_tf.models.vae import DefenseVAE
from tests.gradient_check import off_by_image


def trained_looking(shape, squash_scale):
    """A purifier whose normalisations are no identities, as after a training."""
    keras.utils.set_random_seed(4)
    purifier = DefenseVAE(7, squash_scale=squash_scale, image_shape=shape)
    rng = np.random.default_rng(3)
    for model in (purifier.encoder, purifier.decoder):
        for layer in model.layers:
            if isinstance(layer, BatchNormalization):
                size = layer.gamma.shape
                layer.set_weights(
                    [
                        rng.uniform(0.5, 2.0, size),
                        rng.normal(size=size),
                        rng.normal(size=size) / 3,
                        rng.uniform(0.3, 3.0, size),
                    ]
                )
    return purifier


def forward_and_back(purifier, x):
    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            purified = purifier.purify(x)
            value = tf.reduce_sum(purified**2)
        return purified, tape.gradient(value, x), *purifier.encode(x)

    return step(x), step.get_concrete_function(x).graph.get_operations()


@pytest.mark.parametrize(
    ("shape", "squash_scale"), [((28, 28, 1), 10.0), ((28, 28, 1), 0.0), ((32, 32, 3), 0.0)]
)
def test_same_images_codes_and_gradients(shape, squash_scale):
    purifier = trained_looking(shape, squash_scale)
    x = tf.constant(np.random.default_rng(0).uniform(size=(8, *shape)).astype(np.float32))
    (images, gradients, *codes), _ = forward_and_back(purifier, x)
    (our_images, our_gradients, *our_codes), operations = forward_and_back(
        fold_batch_norm(purifier), x
    )
    for theirs, ours in zip([images, *codes], [our_images, *our_codes], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=2e-5 * np.abs(theirs).max())
    # About one image in sixty is at a kink, and then off by up to some percent.
    off = off_by_image(our_gradients, gradients)
    assert np.median(off) < 2e-5
    assert np.max(off) < 0.2
    assert not any("batch_norm" in operation.name for operation in operations)


def test_a_copy_of_the_weights_as_they_were():
    purifier = trained_looking((28, 28, 1), 10.0)
    x = tf.fill((2, 28, 28, 1), 0.4)
    made = fold_batch_norm(purifier)
    before = made.purify(x).numpy()
    for variable in purifier.weights:
        variable.assign(0.5 * variable)
    np.testing.assert_array_equal(made.purify(x), before)
    assert np.abs(purifier.purify(x) - before).max() > 1e-3
    assert not made.trainable_variables
