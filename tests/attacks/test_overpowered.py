"""The overpowered attack on a linear model with pixels as its latent code: it finds what the budget
allows, image by image.
"""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel, overpowered, run_attack
from madvae_tf.attacks.adam import Moments
from madvae_tf.attacks.overpowered import Overpowered
from madvae_tf.utils.errors import UserError

# z_0 - z_1 = 20 (mean - 0.5): at brightness b the boundary is 28 |b - 0.5| away in L2.
BRIGHTNESS = np.array([0.53, 0.6, 0.7, 0.85], np.float32)
IMAGES = np.tile(BRIGHTNESS[:, None, None, None], (1, 28, 28, 1))
LABELS = np.zeros(4, int)


def logits(x):
    gap = 20 * (tf.reduce_mean(x, [1, 2, 3]) - 0.5)
    return tf.concat([gap[:, None], -gap[:, None], tf.fill([tf.shape(x)[0], 8], -50.0)], axis=1)


TARGET = DefendedModel(
    logits,
    encode=lambda x: tf.reshape(x, (-1, 784)),
    decode=lambda z: tf.reshape(tf.clip_by_value(z, 0.0, 1.0), (-1, 28, 28, 1)),
)


@pytest.mark.parametrize(
    ("epsilon", "fooled"),
    [(0.5, [0, 0, 0, 0]), (1.5, [1, 0, 0, 0]), (4.0, [1, 1, 0, 0]), (8.0, [1, 1, 1, 0])],
)
def test_it_finds_what_the_budget_allows(epsilon, fooled):
    attack = Overpowered(
        epsilon=epsilon, iterations=150, learning_rate=0.01, multiplier=1.0, restarts=1
    )
    result = run_attack(attack, TARGET, IMAGES, LABELS, (0, 0), batch_size=4)
    np.testing.assert_array_equal(result.success, fooled)
    # The nearest images over the boundary: 0.84, 2.8, 5.6 and 9.8.
    needed = 28 * (BRIGHTNESS - 0.5)
    for index in np.flatnonzero(result.success):
        assert needed[index] <= result.l2[index] <= epsilon
    np.testing.assert_array_equal(result.l2[~result.success], 0)


def test_an_image_does_not_depend_on_its_batch():
    attack = Overpowered(epsilon=4.0, iterations=40, learning_rate=0.01, multiplier=1.0, restarts=2)
    together = run_attack(attack, TARGET, IMAGES, LABELS, (0, 0), batch_size=4).x_adv
    for index in range(4):
        alone = run_attack(
            attack, TARGET, IMAGES[index:][:1], LABELS[:1], (0, 0), batch_size=4
        ).x_adv
        np.testing.assert_array_equal(alone[0], together[index])
    assert attack.runs == 2 and attack.norm_budget == 4.0 and attack.parameters["restarts"] == 2


def test_no_sum_in_a_step_has_more_than_two_terms():
    """TensorFlow gives a longer one a temporary variable, which two batches at once trip over."""
    code = TARGET.encode(IMAGES)
    traced = tf.function(overpowered._search.__wrapped__).get_concrete_function(
        TARGET.logits,
        TARGET.decode,
        tf.constant(IMAGES),
        tf.constant(LABELS),
        overpowered._State(
            code,
            Moments.zeros_like(code),
            tf.ones(4),
            tf.constant(IMAGES),
            tf.constant([False] * 4),
        ),
        tf.zeros((4, 2), tf.int32),
        *map(tf.constant, (0, 1, False, 4.0, 1.0, 0.05, 1.0)),
    )
    nodes = [
        node
        for function in traced.graph.as_graph_def().library.function
        for node in function.node_def
    ]
    sums = [node for node in nodes if node.op == "AddN"]
    assert sums and all(node.attr["N"].i == 2 for node in sums)


def test_labels_count_row_by_row():
    """Of two equal images the one of the other label is wrong as it is, and stays; its neighbour's
    margin is its own.
    """
    x = IMAGES[[1, 1]]
    result = run_attack(
        Overpowered(epsilon=4.0, iterations=150, learning_rate=0.01, multiplier=1.0, restarts=1),
        TARGET,
        x,
        np.array([0, 1]),
        (0, 0),
        batch_size=2,
    )
    assert result.success.all() and result.l2[0] > 2.8 and result.l2[1] == 0


def flat(x):
    """The nearest image that the decoder of `searching` can draw."""
    return tf.ones_like(x) * tf.reduce_mean(x, [1, 2, 3], keepdims=True)


def searching(shift=0.0, looks=None):
    """A system whose decoder draws flat images only, and whose purifier answers with the nearest of
    them, `shift` brighter.
    """

    def whole(x):
        if looks is not None:
            looks.assign_add(1)
        return logits(tf.clip_by_value(flat(x) + shift, 0.0, 1.0))

    def within(x):
        # Far off the range, where the search's noise does not lead, it says anything.
        off = tf.reduce_mean(tf.abs(x - flat(x)), [1, 2, 3]) > 0.2
        return tf.where(off[:, None], tf.one_hot(1, 10), logits(x))

    return DefendedModel(
        whole,
        encode=lambda x: tf.reduce_mean(x, [1, 2, 3])[:, None],
        decode=lambda z: tf.clip_by_value(z, 0.0, 1.0)[:, :, None, None] * tf.ones((28, 28, 1)),
        range_logits=within,
    )


SEARCH = Overpowered(epsilon=4.0, iterations=100, learning_rate=0.01, multiplier=1.0, restarts=1)


def test_a_purifier_that_searches_the_range_is_searched_without_and_asked_with_it():
    looks = tf.Variable(0)
    result = run_attack(SEARCH, searching(looks=looks), IMAGES, LABELS, (0, 0), batch_size=4)
    np.testing.assert_array_equal(result.success, [1, 1, 0, 0])
    assert (result.l2 <= 4.0 + 1e-5).all()
    # Not at each of the hundred steps: five times, and the driver's own looks.
    assert 5 <= int(looks) < 15


def test_it_is_the_whole_system_that_must_be_fooled():
    # What fools the classifier does not fool one that answers much brighter than what it was shown,
    # and one that answers a little brighter only later.
    for shift, fooled in ((0.3, [0, 0, 0, 0]), (0.02, [1, 1, 0, 0]), (-0.15, [1, 1, 1, 0])):
        result = run_attack(SEARCH, searching(shift), IMAGES, LABELS, (0, 0), batch_size=4)
        np.testing.assert_array_equal(result.success, fooled)
        answers = logits(
            tf.clip_by_value(flat(tf.constant(result.x_adv)) + shift, 0.0, 1.0)
        ).numpy()
        np.testing.assert_array_equal(answers.argmax(axis=1) != 0, fooled)


def test_off_the_range_its_classifier_says_nothing():
    """Half black, half white: the range is farther away than the budget, what is tried lies off it,
    and the whole system is right there.
    """
    half = np.zeros((1, 28, 28, 1), np.float32)
    half[:, :17] = 1.0
    result = run_attack(SEARCH, searching(), half, LABELS[:1], (0, 0), batch_size=4)
    assert not result.success.any()


def test_an_image_of_a_searching_purifier_does_not_depend_on_its_batch():
    target = searching(0.01)
    attack = dataclasses.replace(SEARCH, learning_rate=0.001, restarts=2)
    together = run_attack(attack, target, IMAGES, LABELS, (0, 0), batch_size=4).x_adv
    for index in range(4):
        alone = run_attack(
            attack, target, IMAGES[index:][:1], LABELS[:1], (0, 0), batch_size=4
        ).x_adv
        np.testing.assert_array_equal(alone[0], together[index])


def test_a_target_without_a_latent_code_is_refused():
    with pytest.raises(UserError, match="without encode and decode"):
        run_attack(
            Overpowered(), dataclasses.replace(TARGET, decode=None), IMAGES, LABELS, (0, 0), 4
        )
