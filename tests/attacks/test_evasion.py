"""Evasion of a detector on a system where the best that can be done is known."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, run_attack
from madvae_tf.attacks.evasion import Evasion
from madvae_tf.utils.errors import UserError


def logits(x):
    """Class 0 where the upper half's mean is above 0.5, else class 1; other classes never."""
    gap = 20 * (tf.reduce_mean(x[:, :14], [1, 2, 3]) - 0.5)
    return tf.concat([gap[:, None], -gap[:, None], tf.fill((tf.shape(x)[0], 8), -99.0)], axis=1)


def score(x):
    """How far the lower half's mean is from the upper half's."""
    lower, upper = (tf.reduce_mean(part, [1, 2, 3]) for part in (x[:, 14:], x[:, :14]))
    return tf.abs(lower - upper)


X = np.full((3, 28, 28, 1), 0.6, np.float32)
Y = np.zeros(3, np.int64)
TARGET = DefendedModel(logits, score=score)
ATTACK = Evasion(epsilon=0.2, iterations=100, weight=3.0)


def made_by(attack):
    return run_attack(attack, TARGET, X, Y, (0, 0), batch_size=3).x_adv


def test_what_fools_has_the_lowest_score_that_the_budget_allows():
    """Both halves can be moved to the same grey below 0.5: it fools at a score of 0."""
    x_adv = made_by(ATTACK)
    assert np.abs(x_adv - X).max() <= 0.2 + 1e-6
    assert (logits(x_adv).numpy().argmax(1) == 1).all()
    found = score(x_adv).numpy()
    # A weight that counts for nothing leaves what a random start left.
    weak = score(made_by(dataclasses.replace(ATTACK, weight=1e-6))).numpy()
    assert (found < 0.01).all() and (weak > 3 * found).all()


def test_too_large_a_weight_does_not_fool():
    """Where the score alone pulls the other way: the image keeps its class, whose score is lowest."""  # noqa: E501
    target = DefendedModel(logits, score=lambda x: -tf.reduce_mean(x, [1, 2, 3]))
    x_adv = run_attack(
        dataclasses.replace(ATTACK, weight=1e3, epsilon=0.05), target, X, Y, (0, 0), batch_size=3
    ).x_adv
    assert (logits(x_adv).numpy().argmax(1) == 0).all() and x_adv.mean() > 0.64


def test_a_target_without_a_score_is_refused():
    with pytest.raises(UserError, match="without score"):
        run_attack(ATTACK, DefendedModel(logits), X, Y, (0, 0), batch_size=3)
