"""The single-pixel attack against a plain search in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import ATTACKS, DefendedModel, fold_seed, run_attack

SinglePixel = ATTACKS["single_pixel"]
SEED, BATCH = (7, 8), 24
SETTINGS = [{"max_pixels": 3}, {"max_pixels": 100}, {"max_pixels": 784}, {"exhaustive": True}]


def run(prey, **parameters):
    return run_attack(
        SinglePixel(**parameters), prey.target, prey.x, prey.y, SEED, batch_size=BATCH
    )


def search(target, x, y, pixels):
    """Each pixel in order set to 0, then to 1: the first misclassified image, or the original."""
    candidates = np.repeat(x.reshape(1, 784), 2 * len(pixels), axis=0)
    candidates[np.arange(len(candidates)), np.repeat(pixels, 2)] = np.tile([0.0, 1.0], len(pixels))
    candidates = candidates.reshape(-1, 28, 28, 1)
    hits = np.flatnonzero(np.argmax(target.logits(candidates), 1) != y)
    return candidates[hits[0]] if len(hits) else x


@pytest.mark.parametrize("parameters", SETTINGS, ids=str)
def test_equals_a_plain_search(parameters, prey):
    keys = tf.random.stateless_uniform([BATCH, 784], fold_seed(SEED, 0), alg="philox").numpy()
    orders = np.argsort(-keys, axis=1, kind="stable")[:, : parameters.get("max_pixels")]
    if parameters.get("exhaustive"):
        orders = np.tile(np.arange(784), (BATCH, 1))
    expected = [search(prey.target, *case) for case in zip(prey.x, prey.y, orders, strict=True)]
    np.testing.assert_array_equal(run(prey, **parameters).x_adv, expected)


@pytest.mark.parametrize("parameters", SETTINGS, ids=str)
def test_one_pixel_at_most_changes_to_0_or_1_and_only_in_successes(parameters, prey):
    result = run(prey, **parameters)
    changed = (result.x_adv != prey.x).reshape(len(prey.x), -1)
    np.testing.assert_array_equal(changed.sum(1), result.success.astype(int))
    assert np.isin(result.x_adv.reshape(changed.shape)[changed], [0.0, 1.0]).all()


def test_more_pixels_find_more_and_the_exhaustive_search_all(prey):
    success = [run(prey, **parameters).success for parameters in SETTINGS]
    for fewer, more in zip(success, success[1:], strict=False):
        assert (more >= fewer).all()
    np.testing.assert_array_equal(success[2], success[3])
    assert 0 < success[1].sum() < success[3].sum() < BATCH


def test_a_misclassified_image_stays_as_it_is_and_counts(prey):
    result = run_attack(
        SinglePixel(), prey.target, prey.x, (prey.y + 1) % 10, SEED, batch_size=BATCH
    )
    assert result.success.all()
    np.testing.assert_array_equal(result.x_adv, prey.x)


@pytest.mark.parametrize(("start", "expected"), [(0.0, 1.0), (1.0, 0.0), (0.5, 0.0)])
def test_0_is_tried_before_1_and_the_first_pixel_wins(start, expected):
    """Any pixel that leaves `start` fools this target, so the scan's first pixel does."""

    def logits(x):
        moved = tf.reduce_any(tf.abs(x - start) > 0.1, [1, 2, 3])
        return tf.one_hot(tf.cast(moved, tf.int32), 10)

    x = np.full((2, 28, 28, 1), start, np.float32)
    result = run_attack(
        SinglePixel(exhaustive=True), DefendedModel(logits), x, np.zeros(2, int), SEED, batch_size=2
    )
    changed = x.copy()
    changed[:, 0, 0] = expected
    np.testing.assert_array_equal(result.x_adv, changed)
