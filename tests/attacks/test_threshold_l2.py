"""The attack that crosses a squash's threshold, on linear systems behind a steep squash whose worst
image is known by brute force.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, run_attack
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.threshold_l2 import ThresholdL2
from madvae_tf.models.straight_through import with_identity_gradient
from madvae_tf.utils.errors import UserError

IMAGES = np.zeros((3, 28, 28, 1), np.float32)
LABELS = np.zeros(3, int)
# What each pixel adds to the wrong class once it is white: the best twelve add 12 + ... + 1, the
# others 0.01 each.
GAINS = np.full(784, 0.01, np.float32)
GAINS[np.random.default_rng(5).choice(784, 12, replace=False)] = np.arange(12, 0, -1)


def squash(x):
    return tf.sigmoid(40.0 * (x - 0.5))


def target_of(needed):
    """A system that is wrong where the gains of the squashed image sum to more than `needed`."""

    def logits(x):
        seen = tf.reshape(with_identity_gradient(x, squash(x)), (-1, 784))
        total = tf.linalg.matvec(seen, tf.constant(GAINS))
        return tf.stack(
            [
                tf.fill([tf.shape(x)[0]], tf.constant(needed, tf.float32)),
                total,
                *[total - 1000.0] * 8,
            ],
            axis=1,
        )

    return DefendedModel(logits, squash=squash)


def most(epsilon):
    """The largest sum within the budget: of all values for a number of equal pixels, the best one
    (the others are black and stay).
    """
    found = 0.0
    for level in np.linspace(0, 1, 41)[1:]:
        many = min(int(epsilon**2 / level**2 + 1e-9), 784)
        found = max(found, np.sort(GAINS)[::-1][:many].sum() / (1 + np.exp(-40 * (level - 0.5))))
    return found


@pytest.mark.parametrize("epsilon", [1.0, 2.0])
def test_it_finds_what_the_budget_allows_and_a_step_along_the_gradient_does_not(epsilon):
    attack = ThresholdL2(epsilon=epsilon, iterations=10)
    within, beyond = (
        run_attack(attack, target_of(share * most(epsilon)), IMAGES, LABELS, (0, 0), 3)
        for share in (0.97, 1.1)
    )
    assert within.success.all() and not beyond.success.any()
    assert (within.l2 <= epsilon + 1e-6).all() and within.l2.min() > 0.7 * epsilon
    # What it changes are the pixels that bring most.
    changed = np.abs(within.x_adv[0] - IMAGES[0]).reshape(-1) > 0
    assert GAINS[changed].min() >= np.sort(GAINS)[::-1][: changed.sum()].min()
    spread = run_attack(
        APGD(norm="l2", epsilon=epsilon, iterations=100),
        target_of(0.97 * most(epsilon)),
        IMAGES,
        LABELS,
        (0, 0),
        3,
    )
    assert most(epsilon) > 10 and not spread.success.any()


def test_white_pixels_are_crossed_downwards_and_grey_ones_first():
    """Grey ones cost less: of two pixels of one gain the one at 0.6 is taken and the white one is
    not.
    """
    x = np.zeros((1, 28, 28, 1), np.float32)
    x[0, 0, 0], x[0, 0, 1] = 0.6, 1.0

    def logits(images):
        seen = tf.reshape(with_identity_gradient(images, squash(images)), (-1, 784))[:, :2]
        right = tf.reduce_sum(seen, axis=1)
        return tf.stack([right, tf.fill([tf.shape(images)[0]], 1.5), *[right - 100.0] * 8], axis=1)

    found = run_attack(
        ThresholdL2(epsilon=0.3, iterations=5),
        DefendedModel(logits, squash=squash),
        x,
        np.array([0]),
        (0, 0),
        1,
    )
    assert found.success.all()
    assert (
        found.x_adv[0, 0, 0] < 0.5 and found.x_adv[0, 0, 1] == 1.0 and found.x_adv[0, 1:].max() == 0
    )


def test_an_image_does_not_depend_on_its_batch_and_restarts_start_elsewhere():
    rng = np.random.default_rng(0)
    x = rng.uniform(size=(4, 28, 28, 1)).astype(np.float32)
    target, labels = target_of(1e6), np.zeros(4, int)
    attack = ThresholdL2(epsilon=2.0, iterations=3, restarts=2)
    together = run_attack(attack, target, x, labels, (0, 0), batch_size=4).x_adv
    alone = [
        run_attack(attack, target, x[i:][:1], labels[:1], (0, 0), batch_size=4).x_adv[0]
        for i in range(4)
    ]
    np.testing.assert_array_equal(together, np.stack(alone))
    given = tf.constant(x), tf.constant(labels, tf.int64)
    # One gradient of a system that a random start does not change: the same choice.
    assert attack.runs == 2 and attack.norm_budget == 2.0
    first, second = (np.asarray(attack.run(target, *given, (0, 0), number)) for number in (0, 1))
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_a_target_without_a_squash_is_refused():
    with pytest.raises(UserError, match="without squash"):
        run_attack(ThresholdL2(), DefendedModel(target_of(1.0).logits), IMAGES, LABELS, (0, 0), 3)
