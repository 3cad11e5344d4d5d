"""The loss terms against hand values and against loops that follow the equations letter by letter."""  # noqa: E501

import math

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf import losses
from madvae_tf.config.variants import VARIANTS, weights_of
from madvae_tf.utils.errors import UserError


def forward(**values) -> losses.Forward:
    arrays = {
        "clean": np.zeros((2, 28, 28, 1), np.float32),
        "label": np.array([0, 2]),
        "image_logits": np.zeros((2, 28, 28, 1), np.float32),
        "mean": np.zeros((2, 3), np.float32),
        "log_variance": np.zeros((2, 3), np.float32),
        "z": np.zeros((2, 3), np.float32),
    } | values
    return losses.Forward(**{name: tf.constant(array) for name, array in arrays.items()})


def test_reconstruction_is_summed_over_pixels():
    # A logit of 0 is probability 1/2: log 2 nats a pixel, whatever the target.
    np.testing.assert_allclose(losses.reconstruction(forward()), 784 * math.log(2), rtol=1e-6)


def test_reconstruction_of_one_pixel_by_hand():
    clean, logits = np.zeros((2, 28, 28, 1), np.float32), np.full((2, 28, 28, 1), -100, np.float32)
    clean[1, 3, 4, 0], logits[1, 3, 4, 0] = 1.0, math.log(0.25 / 0.75)
    values = losses.reconstruction(forward(clean=clean, image_logits=logits)).numpy()
    np.testing.assert_allclose(values, [0.0, -math.log(0.25)], atol=1e-5)


def test_kl_of_known_gaussians():
    # KL(N(m, s^2) || N(0, 1)) = (m^2 + s^2 - 1 - log s^2) / 2 in each dimension.
    mean = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], np.float32)
    log_variance = np.log(np.array([[1.0, 4.0, 1.0], [1.0, 1.0, 0.25]], np.float32))
    expected = [0.5 + (4 - 1 - math.log(4)) / 2, 2.0 + (0.25 - 1 - math.log(0.25)) / 2]
    np.testing.assert_allclose(
        losses.kl_divergence(forward(mean=mean, log_variance=log_variance)), expected, rtol=1e-6
    )


def test_kl_is_the_expected_log_ratio():
    rng = np.random.default_rng(0)
    mean, log_variance = np.array([[0.3, -1.2, 0.5]]), np.array([[0.4, -0.7, 0.1]])
    z = mean + np.exp(log_variance / 2) * rng.standard_normal((400_000, 3))
    log_q = -0.5 * (((z - mean) ** 2) / np.exp(log_variance) + log_variance).sum(axis=1)
    sampled = np.mean(log_q + 0.5 * (z**2).sum(axis=1))
    both = {
        "mean": np.repeat(mean, 2, 0).astype("f"),
        "log_variance": np.repeat(log_variance, 2, 0).astype("f"),
    }
    np.testing.assert_allclose(losses.kl_divergence(forward(**both)).numpy(), sampled, rtol=0.01)


def test_proximity_and_distance_follow_the_equations():
    rng = np.random.default_rng(1)
    z = rng.standard_normal((2, 3)).astype(np.float32)
    centers = rng.standard_normal((4, 3)).astype(np.float32)
    passed = forward(z=z, centers=centers)
    near, far = [], []
    for row, label in zip(z, (0, 2), strict=True):
        near.append(math.dist(row, centers[label]))
        others = [j for j in range(4) if j != label]
        far.append(
            sum(math.dist(row, centers[j]) + math.dist(centers[label], centers[j]) for j in others)
            / 3
        )
    np.testing.assert_allclose(losses.proximity(passed), near, rtol=1e-5)
    np.testing.assert_allclose(losses.distance(passed), far, rtol=1e-5)


def test_gradients_are_finite_where_a_latent_sits_on_its_centre():
    z = tf.Variable(np.ones((2, 3), np.float32))
    centers = tf.Variable(np.ones((4, 3), np.float32))
    with tf.GradientTape() as tape:
        passed = losses.Forward(
            *[tf.zeros(())] * 1, tf.constant([0, 2]), *[tf.zeros(())] * 3, z=z, centers=centers
        )
        loss = tf.reduce_sum(losses.proximity(passed) + losses.distance(passed))
    for gradient in tape.gradient(loss, [z, centers]):
        assert np.isfinite(gradient.numpy()).all()


def test_total_weighs_the_terms_as_the_formula():
    terms = {
        "reconstruction": [784.0],
        "kl": [39.2],
        "classification": [2.0],
        "proximity": [3.0],
        "distance": [5.0],
    }
    weights = weights_of(
        "combined", {"alpha": 9.0, "beta": 0.1, "gamma": 0.1, "proximity": 0.01, "sigma": 1e-5}
    )
    loss = losses.total(
        {name: tf.constant(value) for name, value in terms.items()}, weights, (784, 784)
    )
    np.testing.assert_allclose(
        loss, [(784 + 0.1 * 39.2) / 784 + 0.1 * 2 + 0.01 * 3 - 1e-5 * 5], rtol=1e-6
    )


def test_class_kl_is_the_kl_to_the_gaussian_of_the_class():
    """KL(N(m, s^2) || N(c, 1)) = (s^2 + (m - c)^2 - 1 - log s^2) / 2, in each dimension."""
    mean = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0]], np.float32)
    log_variance = np.log(np.array([[1.0, 4.0, 1.0], [1.0, 1.0, 0.25]], np.float32))
    centers = np.array([[1.0, 0.0, 0.0], [9.0, 9.0, 9.0], [0.0, 5.0, 1.0]], np.float32)
    expected = [(4 - 1 - math.log(4)) / 2, (9 + 1 + 0.25 - 1 - math.log(0.25)) / 2]
    passed = forward(mean=mean, log_variance=log_variance, centers=centers)
    np.testing.assert_allclose(losses.class_kl(passed), expected, rtol=1e-6)


def test_consistency_is_the_kl_between_predictions():
    p, q = (
        np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]]),
        np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]]),
    )
    passed = forward(
        class_logits=np.log(q).astype(np.float32) + 3,
        clean_class_logits=np.log(p).astype(np.float32),
    )
    expected = 0.7 * math.log(3.5) + 0.2 * math.log(0.4) + 0.1 * math.log(1 / 3)
    np.testing.assert_allclose(losses.consistency(passed), [expected, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("elbo", (784 + 0.1 * 39.2) / 784),
        (
            "mean",
            784 / 784 + 0.1 * 39.2 / 128,
        ),  # the released code: beta is worth 784 / 128 times as much
        ("sum", 784 + 0.1 * 39.2),
    ],
)
def test_reductions_by_hand(reduction, expected):
    terms = {"reconstruction": tf.constant([784.0]), "kl": tf.constant([39.2])}
    loss = losses.total(terms, {"kl": 0.1}, losses.divisors(reduction, 784, 128))
    np.testing.assert_allclose(loss, [expected], rtol=1e-6)


def test_each_variant_uses_its_own_weights():
    weights = {"alpha": 1.0, "beta": 2.0, "gamma": 3.0, "proximity": 4.0, "sigma": 5.0}
    assert weights_of("vanilla", weights) == {"kl": 2.0}
    assert weights_of("cls", weights) == {"kl": 2.0, "classification": 1.0}
    assert weights_of("pd", weights) == {"kl": 2.0, "proximity": 4.0, "distance": 5.0}
    assert weights_of("combined", weights) == {
        "kl": 2.0,
        "classification": 3.0,
        "proximity": 4.0,
        "distance": 5.0,
    }
    robust = weights_of("robust", {"beta": 2.0, "classification": 6.0})
    assert robust == {"kl": 2.0, "classification": 6.0}


def test_every_term_of_every_variant_exists():
    assert {term for terms in VARIANTS.values() for term in terms} <= set(losses.TERMS)


def test_an_unknown_variant_names_the_known_ones():
    with pytest.raises(
        UserError, match="Unknown variant 'combine'.*'combined'.*vanilla, cls, pd, combined"
    ):
        weights_of("combine", {})
