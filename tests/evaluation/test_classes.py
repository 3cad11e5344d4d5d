"""Systems of any number of classes: linear ones, whose robustness is known in closed form.

Of z = W x the nearest other class j lies at (z_y - z_j) / |w_y - w_j|_1 in L-infinity, as long as
no pixel meets 0 or 1 on the way.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import APGD, FAB, DefendedModel, run_attack
from madvae_tf.attacks.apgd import goals
from madvae_tf.evaluation import Suite, Trial, auto_attack, evaluate, gradient_suite
from madvae_tf.evaluation.diagnostics import curve_warnings, is_near_chance
from madvae_tf.evaluation.suites import for_classes
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(3)
IMAGES = (0.5 + 0.05 * RNG.uniform(-1, 1, (60, 28, 28, 1))).astype(np.float32)
FLAT = IMAGES.reshape(60, 784).astype(np.float64)


def weights(classes):
    """float32 (784, classes), of which every class has its share of images."""
    drawn = np.random.default_rng(classes).standard_normal((784, classes))
    return (drawn - drawn.mean(axis=0)).astype(np.float32)


def expected(matrix):
    """A budget that about half of the images withstand, six of each kind, their labels, and who
    withstands it.
    """
    z = FLAT @ matrix.astype(np.float64)
    y = z.argmax(axis=1)
    lead = z[np.arange(60), y][:, None] - z
    size = np.abs(matrix[:, y].T[:, :, None] - matrix[None]).sum(axis=1)
    distance = np.where(lead > 0, lead / np.maximum(size, 1e-9), np.inf).min(axis=1)
    epsilon = float(np.median(distance))
    # Not those at the budget itself.
    clear = np.abs(distance / epsilon - 1) > 0.1
    held, lost = (np.flatnonzero(clear & ((distance > epsilon) == kind))[:6] for kind in (1, 0))
    rows = np.concatenate([held, lost])
    return epsilon, IMAGES[rows], y[rows], distance[rows] > epsilon


def linear(matrix):
    return DefendedModel(lambda x: tf.reshape(x, (-1, 784)) @ matrix)


def small(epsilon):
    return auto_attack("linf", epsilon, iterations=20, queries=20)


@pytest.mark.parametrize("classes", [3, 100])
def test_autoattack_finds_what_there_is_to_find(classes):
    matrix = weights(classes)
    epsilon, images, labels, robust = expected(matrix)
    assert 0 < robust.sum() < len(robust)
    found = evaluate(linear(matrix), images, labels, small(epsilon), progress=False)
    np.testing.assert_array_equal(found.worst, robust)
    assert found.clean.all() and found.classes == found.to_dict()["classes"] == classes
    assert found.to_dict()["worst_case"]["accuracy"] == pytest.approx(robust.mean())
    # What has not been run as asked is said.
    replaced = [line for line in found.warnings if "apgd_t follows the loss margin_" in line]
    assert len(replaced) == (classes < 4)
    assert all(line in found.summary() for line in replaced)
    by_name = {outcome.trial.label: outcome for outcome in found.outcomes}
    assert len(by_name["apgd_t"].n_robust) == len(by_name["fab_t"].n_robust) == min(9, classes - 1)


def test_the_standard_set_is_called_so_where_its_losses_are_defined():
    names = {}
    for classes in (2, 3, 4, 5, 10, 100):
        suite, notes = for_classes(auto_attack("linf", 0.1), classes)
        names[classes] = suite.name
        losses = [getattr(trial.attack, "loss", "") for trial in suite.trials]
        assert losses[1] == ("margin_targeted" if classes < 4 else "dlr_targeted")
        assert bool(notes) == (classes < 4)
        assert [suite.trials[place].attack.targets for place in (1, 2)] == [min(9, classes - 1)] * 2
    assert names == {
        **dict.fromkeys((2, 3), "autoattack_smaller"),
        **dict.fromkeys((4, 5, 10, 100), "autoattack_standard"),
    }
    assert for_classes(auto_attack("linf", 0.1), 10) == (auto_attack("linf", 0.1), [])
    (dlr,) = (t for t in for_classes(gradient_suite(), 2)[0].trials if t.label == "apgd_dlr")
    assert dlr.attack.loss == "margin"
    assert for_classes(gradient_suite(), 3) == (gradient_suite(), [])


def test_targets_are_the_likeliest_others_in_order():
    for classes in (2, 5, 100):
        z = RNG.standard_normal((7, classes)).astype(np.float32)
        y = RNG.integers(0, classes, 7)
        ranked = np.argsort(-z, axis=1)
        others = [row[row != label] for row, label in zip(ranked, y, strict=True)]
        for rank in range(min(9, classes - 1)):
            found = goals(lambda x: x, tf.constant(z), tf.constant(y), tf.constant(rank))
            np.testing.assert_array_equal(found, [each[rank] for each in others])


@pytest.mark.parametrize(
    ("loss", "classes", "message"),
    [
        ("dlr", 2, "at least 3; use loss='margin'"),
        ("dlr_targeted", 3, "at least 4; use loss='margin_"),
    ],
)
def test_a_loss_that_is_not_defined_is_one_line(loss, classes, message):
    attack = APGD(epsilon=0.1, loss=loss, iterations=2)
    with pytest.raises(UserError, match=message):
        run_attack(attack, linear(weights(classes)), IMAGES[:2], np.zeros(2, int), (0, 0))


def test_more_targets_than_classes_begin_again():
    matrix = weights(3)
    epsilon, images, labels, robust = expected(matrix)
    attack = FAB(epsilon=epsilon, iterations=20, targets=9)
    found = run_attack(attack, linear(matrix), images, labels, (0, 0))
    np.testing.assert_array_equal(found.success, ~robust)


def sigmoid_model(column, activation):
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation=activation),
        ]
    )
    model.layers[-1].set_weights([column, np.zeros(1, np.float32)])
    return model


@pytest.mark.parametrize("kind", ["sigmoid", "logit", "probability"])
def test_a_single_output_counts_as_two_classes(kind):
    """0 and z: the boundary lies at |z| / |w|_1. A very steep sigmoid hides nothing, where its
    model shows it.
    """
    matrix = weights(2)
    column = matrix[:, 1:] - matrix[:, :1]
    epsilon, images, labels, robust = expected(np.hstack([0 * column, column]))
    if kind == "probability":
        steep = column / 4

        def model(x):
            return tf.sigmoid(tf.reshape(x, (-1, 784)) @ steep)
    else:
        model = sigmoid_model(column * 30, "sigmoid" if kind == "sigmoid" else None)
    given = labels[:, None].astype(float)
    suite = Suite("own", (Trial("apgd", APGD(epsilon=epsilon, iterations=20)),))
    found = evaluate(model, images, given, suite, progress=False)
    assert found.classes == 2 and found.clean.all()
    np.testing.assert_array_equal(found.worst, robust)
    assert any("logarithm" in line for line in found.warnings) == (kind == "probability")


def test_labels_that_do_not_fit_the_outputs_are_one_line():
    system, suite = linear(weights(3)), Suite("own", (Trial("apgd", APGD(epsilon=0.1)),))
    for labels, message in (([1, 2, 3], "begin at 1"), ([0, 1, 4], "5 classes need a classifier")):
        with pytest.raises(UserError, match=message):
            evaluate(system, IMAGES[:3], labels, suite, progress=False)
    for wrong in (lambda x: x, lambda x: tf.reduce_mean(x, [1, 2, 3])):
        with pytest.raises(UserError, match=r"Invalid logits.*of 2 to 1000 classes"):
            evaluate(wrong, IMAGES[:3], [0, 1, 2], suite, progress=False)


def test_odd_data_are_said_on_the_result():
    suite = Suite("own", (Trial("apgd", APGD(epsilon=0.01, iterations=2)),))
    system = linear(weights(3))
    found = evaluate(system, IMAGES[:40], np.arange(40) % 2, suite, progress=False)
    assert "1 of 3 classes has no image: 2." in found.warnings
    grey = evaluate(system, np.full((2, 28, 28, 1), 0.25), [0, 1], suite, progress=False)
    assert any("every pixel of every image is 0.25" in line for line in grey.warnings)


def test_chance_follows_the_classes():
    """Half of the images right is chance for two classes, and far from it for a hundred."""
    assert is_near_chance(0.6, 2) and not is_near_chance(0.6, 10) and is_near_chance(0.29, 10)
    assert is_near_chance(0.2, 100) and not is_near_chance(0.25, 100)
    half = {"epsilon": {0.5: np.arange(400) % 2 == 0}}
    assert curve_warnings(half, 0.5, classes=2) == []
    assert "above chance (0.01)" in curve_warnings(half, 0.5, classes=100)[0]
