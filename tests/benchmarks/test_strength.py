"""What is carried to PyTorch, so that somebody else's attacks meet the same system."""

import numpy as np

from benchmarks.strength import purifier_weights
from madvae_tf.models.vae import DefenseVAE


def test_every_number_of_the_purifier_is_carried():
    purifier = DefenseVAE(latent_size=6, squash_scale=30.0, squash_center=0.25)
    found = purifier_weights(purifier)
    np.testing.assert_allclose(found["squash"], [30.0, 0.25], rtol=1e-5)
    epsilons = [name for name in found if name.endswith(".epsilon")]
    # Purifying needs no variance of the latents; k and b are as many numbers as the squash has
    # weights.
    carried = sum(value.size for name, value in found.items() if name not in epsilons)
    assert carried == purifier.count_params() - purifier.log_variance_head.count_params()
    # Four convolutions and three transposed ones are normalised, the last one has a bias.
    assert len(epsilons) == 7
    assert found["p.encoder.1.kernel"].shape == (4, 4, 64, 64)
    assert found["p.decoder.3.bias"].shape == (1,)


def test_without_a_squash_its_scale_is_zero():
    assert purifier_weights(DefenseVAE(latent_size=2))["squash"].tolist() == [0, 0]
