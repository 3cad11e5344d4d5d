"""Square: what it asks and what it leaves out, its windows and bumps by hand;
test_strong_attacks.py has what it shares with the others.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, run_attack
from madvae_tf.attacks.geometry import draws, image_seeds
from madvae_tf.attacks.square import (
    Square,
    _grid,
    _inside,
    _moved_mass,
    _placed,
    bump,
    double_bump,
    sides,
)


def test_square_needs_values_only_and_asks_as_often_as_it_says(prey):
    asked = tf.Variable(0)

    def logits(x):
        asked.assign_add(1)
        # tf.round passes no gradient on.
        return prey.target.logits(tf.round(255 * x) / 255)

    # Alone in its batch, an image that holds out costs all its queries, where each of them changes
    # it.
    attack = Square(norm="l2", epsilon=1e-3, queries=30)
    run_attack(attack, DefendedModel(logits), prey.x[:1], prey.y[:1], (0, 0), batch_size=1)
    # Two more: whether it is fooled as it is, and what became of it; and the driver's own.
    assert asked.numpy() == 30 + 3
    few, many = (
        run_attack(
            Square(queries=queries), DefendedModel(logits), prey.x, prey.y, (0, 0), 24
        ).success
        for queries in (1, 200)
    )
    assert (few <= many).all() and few.sum() + 5 < many.sum()


def square_by_hand(logits, x, y, epsilon, queries, seed):
    """Each image alone, every query asked: the image found, and how many candidates were another
    image than the one there was.
    """
    chance = draws(image_seeds(tf.constant(x), seed), [queries, 6]).numpy()
    stripes = np.sign(
        draws(tf.bitwise.bitwise_xor(image_seeds(tf.constant(x), seed), 1), [1, 28, 1]).numpy()
    )
    found, changes = [], []

    def margin_of(image, label):
        values = np.array(logits(tf.constant(image[None]))[0])
        return values[label] - np.delete(values, label).max()

    for clean, label, numbers, stripe in zip(x, y, chance, stripes, strict=True):
        image = np.clip(clean + np.float32(epsilon) * stripe, 0, 1)
        lowest, changed = margin_of(image, label), 0
        for query in range(1, queries):
            side = sides(queries, 0.8, "linf")[query]
            row, column = np.floor((numbers[query, :2] + 1) / 2 * (28 - side + 1)).astype(int)
            sign = -1 if numbers[query, 4] < 0 else 1
            change = image - clean
            change[row : row + side, column : column + side] += 2 * np.float32(epsilon) * sign
            candidate = np.clip(clean + np.clip(change, -epsilon, epsilon), 0, 1)
            if lowest < 0:
                break
            changed += np.abs(candidate - image).max() > 1e-6
            if (margin := margin_of(candidate, label)) < lowest:
                image, lowest = candidate, margin
        found.append(image)
        changes.append(changed)
    return np.array(found), changes


def test_square_computes_nothing_for_a_query_that_changes_nothing(prey):
    x, y, epsilon, queries = prey.x[:6], prey.y[:6], 0.02, 60
    expected, changes = square_by_hand(prey.target.logits, x, y, epsilon, queries, (0, 0))
    asked = tf.Variable(0)

    def logits(x):
        asked.assign_add(1)
        return prey.target.logits(x)

    found = Square(epsilon=epsilon, queries=queries).run(
        DefendedModel(logits), tf.constant(x), tf.constant(y), (0, 0), 0
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # The image that asks most, and its start; one more where what is left of its queries changes
    # nothing.
    assert asked.numpy() in (1 + max(changes), 2 + max(changes))
    assert 0 < max(changes) < 0.9 * (queries - 1)


def test_square_windows_shrink_as_the_paper_says():
    found = sides(10_000, 0.8, "linf")
    changes = np.flatnonzero(np.diff(found)) + 1
    assert changes.tolist() == [11, 51, 201, 501, 1001, 2001, 4001, 8001]
    # sqrt(0.8 / 2**k) * 28, rounded; at 6001 it stays 2.
    assert [int(found[i]) for i in (0, *changes)] == [25, 18, 13, 9, 6, 4, 3, 2, 1]
    np.testing.assert_array_equal(sides(5000, 0.8, "linf"), found[::2])
    odd = sides(10_000, 0.8, "l2")
    assert (odd % 2 == 1).all() and odd.min() == 3 and odd[0] == 25


def test_square_windows_of_other_shapes():
    # sqrt(0.8 * 28 * 56) = 35.4 is more than there is room for; sqrt(0.4 * 1568) = 25.04.
    wide = sides(10_000, 0.8, "linf", 28, 56)
    assert wide[0] == 28 and wide[11] == 25 and wide[-1] == round((0.8 * 1568 / 512) ** 0.5)
    np.testing.assert_array_equal(wide, sides(10_000, 0.8, "linf", 56, 28))
    # sqrt(0.9 * 64) = 7.6: the next odd number up is 9, of 8 pixels.
    odd = sides(10_000, 0.9, "l2", 8)
    assert odd[0] == 7 and (odd % 2 == 1).all() and odd.min() == 3
    # The window's pattern at its corner, in an image that is not square.
    pattern = double_bump(5).astype(np.float32)
    corner = tf.constant([[2, 50]])
    placed = _placed(tf.constant(pattern[None]), corner, tf.constant([False]), (28, 56, 1))
    expected = np.zeros((28, 56))
    expected[2:7, 50:55] = pattern
    np.testing.assert_array_equal(placed[0, ..., 0], expected)
    inside = _inside(corner, tf.constant([5]), (28, 56, 1))
    np.testing.assert_array_equal(inside[0, ..., 0], expected != 0)


@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((28, 28, 1), 5, 5), ((28, 56, 1), 5, 10), ((8, 9, 1), 5, 5)]
)
def test_the_grid_of_bumps_has_the_norm_and_five_on_the_shorter_side(shape, rows, columns):
    change = _grid(tf.constant([[3, 4], [5, 6]]), tf.constant(1.5), shape).numpy()
    assert change.shape == (2, *shape)
    np.testing.assert_allclose(np.linalg.norm(change.reshape(2, -1), axis=1), 1.5, rtol=1e-5)
    side = min(shape[:2]) // 5
    assert np.count_nonzero(change[0]) == rows * columns * side * side


def test_the_bump_by_hand():
    # n = 1, so the rim weighs 1 / 2**2 and the middle that and 1 / 1**2.
    np.testing.assert_allclose(bump(3, 3), [[0.25] * 3, [0.25, 1.25, 0.25], [0.25] * 3])
    double = double_bump(5)
    assert (
        np.linalg.norm(double) == pytest.approx(1)
        and (double[:2] > 0).all()
        and (double[2:] < 0).all()
    )


def test_moving_mass_keeps_the_norm_and_empties_the_second_window():
    generator = np.random.default_rng(0)
    change = generator.normal(size=(3, 28, 28, 1)).astype(np.float32)
    change *= 1.5 / np.linalg.norm(change.reshape(3, -1), axis=1)[:, None, None, None]
    corners = tf.constant([[0, 0], [5, 7], [23, 23]]), tf.constant([[10, 10], [6, 8], [0, 3]])
    first, second = (_inside(corner, tf.fill([3], 5), (28, 28, 1)) for corner in corners)
    pattern = np.zeros((28, 28), np.float32)
    pattern[:5, :5] = double_bump(5)
    turned = tf.constant([False, True, False])
    shape = _placed(tf.constant(np.array([pattern] * 3)), corners[0], turned, (28, 28, 1))
    np.testing.assert_array_equal(shape[1, 5:10, 7:12, 0], pattern[:5, :5].T)
    assert np.count_nonzero(shape) == 75
    moved = _moved_mass(tf.constant(change), tf.constant(2.0), first, second, shape).numpy()
    np.testing.assert_allclose(np.linalg.norm(moved.reshape(3, -1), axis=1), 2.0, rtol=1e-5)
    assert not moved[0, 10:15, 10:15].any() and not moved[2, 0:5, 3:8].any()
    untouched = ~(first | second).numpy()
    np.testing.assert_array_equal(moved[untouched], change[untouched])
