"""Every attack on small images that are not square: shapes, budgets, and places by hand."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import ATTACKS, STRONG_ATTACKS, DefendedModel, run_attack
from madvae_tf.attacks.corruptions import CORRUPTIONS, Corruption
from madvae_tf.attacks.hop_skip_jump import _noise
from madvae_tf.attacks.spatial import placed, turn
from madvae_tf.defenses.purifier import defended
from madvae_tf.models.vae import DefenseVAE

RNG = np.random.default_rng(5)
N, SHAPE, SEED = 4, (8, 11, 3), (7, 8)
X = RNG.random((N, *SHAPE), dtype=np.float32)
WEIGHTS = tf.constant(RNG.standard_normal((np.prod(SHAPE), 10)).astype(np.float32))
# So few steps as to be quick.
FEW = {
    "iterations": 3,
    "max_iterations": 20,
    "binary_search_steps": 1,
    "queries": 250,
    "restarts": 1,
    "targets": 2,
    "max_pixels": 3,
    "samples": 4,
    "angles": 3,
    "shifts": 3,
}


def logits(x):
    return tf.reshape(x, (-1, np.prod(SHAPE))) @ WEIGHTS


def small(kind):
    fields = kind.__dataclass_fields__
    return kind(**{name: value for name, value in FEW.items() if name in fields})


@pytest.fixture(scope="module")
def whole():
    """A purifier with a squash before the classifier, and a detector's score: all parts."""
    vae = DefenseVAE(3, squash_scale=8.0, image_shape=SHAPE, width=0.1)
    score = lambda x: tf.reduce_mean(tf.square(x), axis=[1, 2, 3])  # noqa: E731
    return dataclasses.replace(defended(vae, logits), score=score)


# These go by parts of a defence.
OF_PARTS = ("overpowered", "crossing", "joint_pgd", "joint_apgd", "evasion")


@pytest.mark.parametrize("name", [*ATTACKS, *STRONG_ATTACKS])
def test_attacks_keep_the_shape_and_the_budget(name, whole):
    target = whole if name in OF_PARTS else DefendedModel(logits)
    attack = small({**ATTACKS, **STRONG_ATTACKS}[name])
    y = target.logits(X).numpy().argmax(axis=1)
    result = run_attack(attack, target, X, y, SEED, batch_size=N)
    assert result.x_adv.shape == X.shape
    assert np.isfinite(result.x_adv).all()
    assert result.x_adv.min() >= 0 and result.x_adv.max() <= 1
    if name == "none":
        np.testing.assert_array_equal(result.x_adv, X)
        return
    if attack.norm_budget is not None:
        distances = result.l2 if getattr(attack, "norm", "linf") == "l2" else result.linf
        assert distances.max() <= attack.norm_budget + 1e-5
    # An independent judge: what is said to fool fools.
    found = target.logits(result.x_adv).numpy().argmax(axis=1)
    np.testing.assert_array_equal(result.success, found != y)


def test_rotation_and_translation_by_hand():
    upright = tf.eye(2)
    moved = placed(tf.constant(X), upright, [1.0, -2.0])
    expected = np.zeros_like(X)
    expected[:, 1:, :-2] = X[:, :-1, 2:]
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    # Half a turn about the middle swaps the corners of any rectangle.
    turned = placed(tf.constant(X), turn(180.0), [0.0, 0.0])
    np.testing.assert_allclose(turned, X[:, ::-1, ::-1], atol=1e-4)
    each = placed(tf.constant(X), tf.tile(upright[None], [N, 1, 1]), np.tile([[0.0, 3.0]], (N, 1)))
    expected = np.zeros_like(X)
    expected[:, :, 3:] = X[:, :, :-3]
    np.testing.assert_allclose(each, expected, atol=1e-6)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruptions_keep_the_shape(kind):
    x_adv = Corruption(kind=kind)(DefendedModel(logits), tf.constant(X), None, SEED).numpy()
    assert x_adv.shape == X.shape and np.isfinite(x_adv).all()
    assert x_adv.min() >= 0 and x_adv.max() <= 1 and (x_adv != X).any()


def test_the_starting_noise_of_hop_skip_jump_is_in_blocks():
    noise = _noise(tf.constant(X), tf.constant([[1, 2]] * N), 4, False).numpy()
    assert noise.shape == X.shape
    for row in range(0, 8, 4):
        for column in range(0, 11, 4):
            block = noise[:, row : row + 4, column : column + 4]
            assert (block == block[:, :1, :1]).all()
    assert (noise[:, 0, 0] != noise[:, 0, 4]).all() and (noise[:, 0, 0] != noise[:, 4, 0]).all()
