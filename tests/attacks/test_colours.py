"""Every attack on 32 x 32 colour images: budgets, the single pixel against a plain search, Square's
signs per channel.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import ATTACKS, STRONG_ATTACKS, DefendedModel, fold_seed, run_attack

RNG = np.random.default_rng(5)
N, SHAPE = 6, (32, 32, 3)
X = RNG.random((N, *SHAPE), dtype=np.float32)
Y = RNG.integers(0, 10, N)
WEIGHTS = tf.constant(RNG.standard_normal((np.prod(SHAPE), 10)).astype(np.float32))
SEED = (7, 8)


def logits(x):
    return tf.reshape(x, (-1, np.prod(SHAPE))) @ WEIGHTS


@pytest.fixture(scope="module")
def right():
    """The labels that the classifier gives, so that every image is right at the start."""
    return logits(X).numpy().argmax(axis=1)


SMALL = {
    "cw": {
        "max_iterations": 60,
        "binary_search_steps": 2,
        "learning_rate": 0.1,
        "initial_const": 10.0,
    },
    "pgd": {"iterations": 3},
    "mi_fgsm": {"iterations": 3},
    "single_pixel": {"max_pixels": 4},
}
STRONG = {
    "apgd": {"iterations": 4},
    "fab": {"iterations": 3, "targets": 2},
    "square": {"queries": 8},
    "pgd_restarts": {"iterations": 3, "restarts": 2},
}


@pytest.mark.parametrize("name", [*ATTACKS, *(name for name in STRONG_ATTACKS if name in STRONG)])
def test_attacks_change_colour_images_within_their_budget(name, right):
    attack = (ATTACKS | STRONG_ATTACKS)[name](**(SMALL | STRONG).get(name, {}))
    result = run_attack(attack, DefendedModel(logits), X, right, SEED, batch_size=4)
    assert result.x_adv.shape == X.shape
    if name in ("none", "single_pixel"):
        return
    assert result.success.any()
    if attack.norm_budget is not None:
        assert result.linf.max() <= attack.norm_budget + 1e-6


def test_cw_is_nearer_than_fgsm_on_colours(right):
    nearest = run_attack(
        ATTACKS["cw"](**SMALL["cw"]), DefendedModel(logits), X, right, SEED, batch_size=N
    )
    crude = run_attack(
        ATTACKS["fgsm"](epsilon=0.3), DefendedModel(logits), X, right, SEED, batch_size=N
    )
    assert nearest.success.all() and nearest.l2.max() < crude.l2.min()


def test_a_pixel_is_its_three_channels():
    """Against a plain search: each pixel drawn becomes black, then white; the first misclassified
    image wins.
    """

    def fragile(x):
        # Class 1 where any white pixel is there that was not, by its blue channel; black ones do
        # nothing.
        return tf.one_hot(tf.cast(tf.reduce_max(x[..., 2], [1, 2]) > 0.99, tf.int32), 10)

    x = np.minimum(X, 0.9)
    attack = ATTACKS["single_pixel"](max_pixels=3)
    result = run_attack(attack, DefendedModel(fragile), x, np.zeros(N, int), SEED, batch_size=N)
    keys = tf.random.stateless_uniform([N, 1024], fold_seed(SEED, 0), alg="philox").numpy()
    for image, original, key in zip(result.x_adv, x, keys, strict=True):
        row, column = divmod(int(key.argmax()), 32)
        expected = original.copy()
        expected[row, column] = 1.0
        np.testing.assert_array_equal(image, expected)
    everywhere = ATTACKS["single_pixel"](max_pixels=4096)
    assert run_attack(
        everywhere, DefendedModel(fragile), x, np.zeros(N, int), SEED, batch_size=N
    ).success.all()


def test_square_draws_a_sign_for_each_channel():
    attack = STRONG_ATTACKS["square"](queries=1, epsilon=0.1)
    x = np.full((N, *SHAPE), 0.5, np.float32)
    change = (
        run_attack(
            attack, DefendedModel(logits), x, logits(x).numpy().argmax(1), SEED, batch_size=N
        ).x_adv
        - x
    )
    np.testing.assert_allclose(np.abs(change), 0.1, atol=1e-6)
    signs = np.sign(change)
    np.testing.assert_array_equal(signs, np.broadcast_to(signs[:, :1], signs.shape))  # stripes
    assert (signs[..., 0] != signs[..., 1]).any() and (signs[..., 1] != signs[..., 2]).any()
