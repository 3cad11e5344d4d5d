"""Carlini & Wagner's L2 attack against its definition and against the closed form on a linear
model.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import ATTACKS, DefendedModel, run_attack

CarliniWagner = ATTACKS["cw"]
QUICK = {
    "max_iterations": 100,
    "binary_search_steps": 4,
    "learning_rate": 0.05,
    "initial_const": 0.1,
}


def margins(target, x, y):
    logits = np.asarray(target.logits(x), np.float64)
    rows = np.arange(len(y))
    true = logits[rows, y]
    logits[rows, y] = -np.inf
    return logits.max(1) - true


def attack(prey, **parameters):
    return run_attack(
        CarliniWagner(**{**QUICK, **parameters}), prey.target, prey.x, prey.y, (0, 0), batch_size=24
    )


def is_success(prey, result, confidence):
    """By the definition, with room for one rounding of the logits."""
    return margins(prey.target, result.x_adv, prey.y) >= max(confidence - 1e-4, 0)


@pytest.mark.parametrize("confidence", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("abort_early", [True, False])
def test_a_success_reaches_its_margin_and_a_failure_is_the_original(confidence, abort_early, prey):
    # One weak descent, so that both happen.
    result = attack(
        prey,
        confidence=confidence,
        abort_early=abort_early,
        binary_search_steps=1,
        max_iterations=25,
        initial_const=2.0,
    )
    success = is_success(prey, result, confidence)
    assert 0 < success.sum() < len(success)
    np.testing.assert_array_equal(result.x_adv[~success], prey.x[~success])
    assert (result.l2[success] > 0).all()


@pytest.mark.parametrize("confidence", [0.0, 2.0])
@pytest.mark.parametrize("gap", [0.5, 4.0])
def test_finds_the_nearest_point_beyond_a_linear_boundary(confidence, gap, linear):
    """Between two classes the least L2 is (Z_y - Z_j + confidence) / ||w_y - w_j||, inside the box."""  # noqa: E501
    generator = np.random.default_rng(1)
    weights = np.zeros((784, 10))
    weights[:, :2] = generator.normal(size=(784, 2)) / 10
    x = np.full((4, 28, 28, 1), 0.5, np.float32) + generator.uniform(
        -0.05, 0.05, (4, 28, 28, 1)
    ).astype(np.float32)
    bias = np.full(10, -1000.0)
    bias[0], bias[1] = 0.0, (x.reshape(4, -1) @ (weights[:, 0] - weights[:, 1])).min() - gap
    target, y = linear(weights, bias), np.zeros(4, int)
    expected = (confidence - margins(target, x, y)) / np.linalg.norm(weights[:, 0] - weights[:, 1])

    parameters = {
        "confidence": confidence,
        "max_iterations": 400,
        "binary_search_steps": 7,
        "initial_const": 0.05,
    }
    result = run_attack(CarliniWagner(**parameters), target, x, y, (0, 0), batch_size=4)
    assert result.success.all()
    np.testing.assert_allclose(result.l2, expected, rtol=0.02)
    assert (result.l2 > 0.999 * expected).all()


def test_an_image_that_already_succeeds_is_its_own_nearest_success(prey):
    wrong = (prey.y + 1) % 10
    target = prey.target
    before = margins(target, prey.x, wrong)
    confidence = float(np.median(before))
    result = run_attack(
        CarliniWagner(**QUICK, confidence=confidence), target, prey.x, wrong, (0, 0), batch_size=24
    )
    already = before >= confidence
    assert 0 < already.sum() < len(already)
    np.testing.assert_array_equal(result.x_adv[already], prey.x[already])
    assert (result.l2[already] == 0).all() and (result.l2[~already] > 0).all()


def test_an_unbeatable_image_stays_bit_for_bit_beside_one_that_falls(prey):
    """One pixel switches class 9 on, with no gradient to tell the attack so."""

    def logits(x):
        switch = tf.where(x[:, 0, 0] > 0.5, 1e4, -1e4)
        return tf.concat([prey.target.logits(x)[:, :9], switch], axis=1)

    x = prey.x[:6].copy()
    x[:, 0, 0] = 0.0
    x[::2, 0, 0] = 1.0
    y = np.where(x[:, 0, 0, 0] > 0, 9, np.argmax(prey.target.logits(x)[:, :9], 1))
    result = run_attack(CarliniWagner(**QUICK), DefendedModel(logits), x, y, (0, 0), batch_size=6)
    np.testing.assert_array_equal(result.success, [False, True] * 3)
    np.testing.assert_array_equal(result.x_adv[::2], x[::2])


def test_more_search_steps_never_find_farther_images(prey):
    results = [
        attack(prey, binary_search_steps=steps, initial_const=10.0) for steps in (1, 2, 4, 6)
    ]
    distances = [np.where(is_success(prey, result, 0.0), result.l2, np.inf) for result in results]
    for fewer, more in zip(distances, distances[1:], strict=False):
        assert (more <= fewer).all()
    assert distances[-1].mean() < 0.9 * distances[0].mean()


@pytest.mark.parametrize(
    ("parameter", "values"),
    [("initial_const", (1.0, 10.0, 1000.0)), ("confidence", (0.0, 1.0, 4.0))],
)
def test_distance_grows_with(parameter, values, prey):
    """A smaller const weighs distance more; a larger margin lies farther away."""
    fixed = {
        "binary_search_steps": 1,
        "initial_const": 10.0,
        "max_iterations": 200,
        "abort_early": False,
    }
    distances = []
    for value in values:
        settings = {**fixed, parameter: value}
        result = attack(prey, **settings)
        success = is_success(prey, result, settings.get("confidence", 0.0))
        distances.append(np.where(success, result.l2, np.nan))
    shared = np.isfinite(distances).all(0)
    assert shared.sum() > len(shared) / 2
    means = np.mean(np.array(distances)[:, shared], axis=1)
    assert means[0] < means[1] < means[2]


def test_neighbours_that_give_up_or_go_on_change_nothing(prey):
    """The same image among others, first or last, and whether they succeed or not."""
    alone = run_attack(
        CarliniWagner(**QUICK), prey.target, prey.x[:1], prey.y[:1], (0, 0), batch_size=6
    )
    for rows in ([0, 1, 2, 3, 4, 5], [9, 8, 7, 6, 5, 0], [0, 20, 21]):
        others = run_attack(
            CarliniWagner(**QUICK), prey.target, prey.x[rows], prey.y[rows], (0, 0), batch_size=6
        )
        np.testing.assert_array_equal(others.x_adv[rows.index(0)], alone.x_adv[0])


def test_pixels_at_the_ends_of_the_box_stay_finite_and_inside(prey):
    assert (prey.x == 0).any() and (prey.x == 1).any()
    result = attack(prey, confidence=20.0, initial_const=1e6, learning_rate=1.0)
    assert np.isfinite(result.x_adv).all() and result.x_adv.min() >= 0 and result.x_adv.max() <= 1


def test_the_network_runs_once_per_iteration_in_the_graph(prey):
    """Logits and gradient come from one pass: tracing calls the network once for the original, once
    for the loop.
    """
    calls = []

    def logits(x):
        calls.append(1)
        return prey.target.logits(x)

    run_attack(
        CarliniWagner(**QUICK), DefendedModel(logits), prey.x[:4], prey.y[:4], (0, 0), batch_size=4
    )
    assert len(calls) == 3  # and once for the driver's predictions
