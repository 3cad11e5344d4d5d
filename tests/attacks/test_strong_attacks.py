"""Attacks of several runs: box, budget, seeds, batches; linear models whose optimum is known;
checkpoints; queries.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import brentq

from madvae_tf.attacks import ATTACKS, STRONG_ATTACKS, DefendedModel, fold_seed, run_attack
from madvae_tf.attacks.apgd import APGD, checkpoints
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.fab import FAB
from madvae_tf.attacks.repeated import OneRun, RepeatedAttack, runs_of
from madvae_tf.attacks.square import Square
from madvae_tf.utils.errors import UserError

BUDGET = {"linf": 0.05, "l2": 0.8}


def attacks(norm):
    own = {"norm": norm, "epsilon": BUDGET[norm]}
    return [
        RestartedPGD(**own, iterations=6, restarts=2, step_size=BUDGET[norm] / 4),
        APGD(**own, iterations=8, restarts=2),
        APGD(**own, iterations=8, loss="dlr_targeted", targets=2),
        APGD(**own, iterations=8, loss="margin", early=False),
        FAB(**own, iterations=6, targets=2, restarts=2),
        Square(**own, queries=40),
    ]


ALL = [
    pytest.param(attack, id=f"{attack.name}-{attack.norm}-{index}")
    for norm in BUDGET
    for index, attack in enumerate(attacks(norm))
]


@pytest.mark.parametrize("attack", ALL)
def test_box_budget_success_and_independence_of_the_batch(attack, prey):
    result = run_attack(attack, prey.target, prey.x, prey.y, (1, 2), batch_size=24)
    distance = result.linf if attack.norm == "linf" else result.l2
    assert distance.max() <= attack.epsilon * (1 + 1e-5)
    assert result.x_adv.min() >= 0 and result.x_adv.max() <= 1
    assert 0 < result.success.sum() < 24
    np.testing.assert_array_equal(
        result.success, np.argmax(prey.target.logits(result.x_adv), 1) != prey.y
    )
    # Any image, in any batch of this size and at any place, comes out the same.
    order = np.random.default_rng(0).permutation(24)[:9]
    again = run_attack(attack, prey.target, prey.x[order], prey.y[order], (1, 2), batch_size=24)
    np.testing.assert_array_equal(again.x_adv, result.x_adv[order])


@pytest.mark.parametrize("attack", [ALL[1], ALL[5], ALL[7], ALL[11]])
def test_another_seed_draws_anew(attack, prey):
    one, other = (
        run_attack(attack, prey.target, prey.x, prey.y, (1, s), batch_size=24).x_adv for s in (2, 3)
    )
    assert not np.array_equal(one, other)


def test_checkpoints_are_the_papers():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(1000) == [220, 410, 570, 700, 800, 870, 930, 990]
    assert checkpoints(10) == [3, 5, 6, 7, 8, 9, 10]


def gap(generator, linear):
    """Two live classes: z_0 - z_1 = <w, x> + b; the others are far below."""
    weights = np.zeros((784, 10))
    w = generator.normal(size=784)
    weights[:, 0], weights[:, 1] = w / 2, -w / 2
    bias = np.full(10, -1e3)
    bias[:2] = 0
    return w, weights, bias


def lowest(w, x, epsilon, norm):
    """The least <w, x'> over ball and box, in float64."""
    if norm == "linf":
        return (w * np.clip(x - epsilon * np.sign(w), 0, 1)).sum()
    step = lambda t: np.clip(x - t * w, 0, 1) - x  # noqa: E731
    t = brentq(lambda t: np.linalg.norm(step(t)) - epsilon, 0, 1e3, xtol=1e-14)
    return w @ (x + step(t))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_linear_model_the_known_optimum_is_reached(norm, linear):
    generator = np.random.default_rng(8)
    w, weights, bias = gap(generator, linear)
    x = np.clip(generator.normal(0.5, 0.5, (5, 784)), 0, 1).astype(np.float32)
    epsilon = 0.02 if norm == "linf" else 1.0
    optimum = np.array([lowest(w, image.astype(float), epsilon, norm) for image in x])
    images = x.reshape(-1, 28, 28, 1)
    own = {"norm": norm, "epsilon": epsilon, "early": False, "loss": "margin"}
    for attack, slack in (
        (APGD(**own, iterations=100), 2e-3),
        (RestartedPGD(**own, iterations=100, restarts=1, step_size=epsilon / 10), 2e-3),
    ):
        # The boundary lies so that every image is right and stays right: the best objective comes
        # back.
        bias[0] = 1 - optimum.min()
        target = linear(weights, bias)
        result = run_attack(attack, target, images, np.zeros(5, int), (0, 0), batch_size=5)
        assert not result.success.any()
        reached = result.x_adv.reshape(5, -1) @ w
        start = x @ w
        assert ((reached - optimum) / (start - optimum) < slack).all(), attack


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_success_is_what_a_linear_model_allows(norm, linear):
    """With the boundary a little nearer or a little farther than the optimum, every strong gradient
    attack agrees with it.
    """
    generator = np.random.default_rng(9)
    w, weights, bias = gap(generator, linear)
    x = np.clip(generator.normal(0.5, 0.5, 784), 0, 1).astype(np.float32)
    epsilon = 0.02 if norm == "linf" else 1.0
    optimum, own = lowest(w, x.astype(float), epsilon, norm), {"norm": norm, "epsilon": epsilon}
    drop = x @ w - optimum
    for share, fooled in ((0.97, True), (1.03, False)):
        bias[0] = share * drop - x @ w
        target = linear(weights, bias)
        for attack in (
            APGD(**own),
            APGD(**own, loss="dlr"),
            APGD(**own, loss="dlr_targeted", targets=1),
            FAB(**own, targets=1),
            RestartedPGD(**own, restarts=1, step_size=epsilon / 10),
        ):
            result = run_attack(
                attack, target, x.reshape(1, 28, 28, 1), np.zeros(1, int), (0, 0), 1
            )
            assert result.success[0] == fooled, (attack, share)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_finds_the_nearest_boundary_of_a_linear_model(norm, linear):
    generator = np.random.default_rng(10)
    w, weights, bias = gap(generator, linear)
    x = np.clip(generator.normal(0.5, 0.5, 784), 0, 1).astype(np.float32)
    nearest = 0.013 if norm == "linf" else 0.7
    bias[0] = -lowest(w, x.astype(float), nearest, norm)
    attack = FAB(norm=norm, epsilon=1.0, targets=1, iterations=60)
    result = run_attack(
        attack, linear(weights, bias), x.reshape(1, 28, 28, 1), np.zeros(1, int), (0, 0), 1
    )
    found = getattr(result, norm)[0]
    assert result.success[0] and nearest * (1 - 1e-4) <= found <= nearest * 1.02


def test_restarted_pgd_takes_the_steps_of_cleverhans(prey):
    own = {"epsilon": 0.05, "iterations": 7, "step_size": 0.013, "random_start": False}
    theirs = run_attack(ATTACKS["pgd"](**own), prey.target, prey.x, prey.y, (0, 0), 24)
    attack = RestartedPGD(**own, restarts=1, early=False)
    ours = run_attack(attack, prey.target, prey.x, prey.y, (0, 0), 24)
    # Both climb a nearly linear loss: the last iterate is the highest.
    same = np.abs(ours.x_adv - theirs.x_adv).reshape(24, -1).max(1) < 1e-5
    assert same.sum() >= 20
    np.testing.assert_array_equal(ours.success, theirs.success)


class Counting(RepeatedAttack):
    """Fools the images whose label is the number of the run, by painting them white; notes what it
    was given.
    """

    name = "counting"
    runs = 3

    def run(self, target, x, y, seed, number):
        SEEN.append((number, seed))
        return tf.where((y == number)[:, None, None, None], tf.ones_like(x), x)


SEEN = []


def test_runs_go_on_for_what_is_left_and_stop_when_nothing_is():
    # Class 9 for a white image, else its label, which is the first pixel times ten.
    def logits(x):
        label = tf.cast(tf.round(x[:, 0, 0, 0] * 10), tf.int32)
        return tf.one_hot(tf.where(tf.reduce_min(x, [1, 2, 3]) == 1, 9, label), 10)

    x = np.zeros((3, 28, 28, 1), np.float32)
    x[:, 0, 0, 0] = [0.0, 0.1, 0.1]
    SEEN.clear()
    result = run_attack(
        Counting(), DefendedModel(logits), x, np.array([0, 1, 1]), (4, 5), batch_size=3
    )
    seed = fold_seed((4, 5), 0)
    assert [(number, fold_seed(seed, number)) for number in (0, 1)] == SEEN
    assert result.success.all()
    alone = [OneRun(Counting(), number) for number in range(3)]
    assert runs_of(Counting()) == alone and runs_of(ATTACKS["fgsm"]()) == [ATTACKS["fgsm"]()]
    parts = [
        run_attack(part, DefendedModel(logits), x, np.array([0, 1, 1]), (4, 5), 3).success
        for part in alone
    ]
    np.testing.assert_array_equal(parts, [[True, False, False], [False, True, True], [False] * 3])


@pytest.mark.parametrize(
    ("attack", "parameters", "words"),
    [
        ("apgd", {"norm": "l1"}, "Unknown norm 'l1'"),
        ("apgd", {"loss": "dlr_target"}, "Unknown loss 'dlr_target'. Did you mean 'dlr_targeted'"),
        ("pgd_restarts", {"loss": "dlr_targeted"}, "Unknown loss 'dlr_targeted'"),
        ("pgd_restarts", {"random_start": False}, "without a random start"),
        ("fab_t", {"targets": 1000}, "<= 999"),
        ("square", {"queries": 0}, "expected an integer >= 1"),
        ("square", {"share": 0.95}, "<= 0.9"),
    ],
)
def test_bad_parameters_get_one_line(attack, parameters, words):
    with pytest.raises(UserError) as caught:
        STRONG_ATTACKS[attack](**parameters)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("attack", [ALL[0], ALL[2], ALL[4], ALL[5], ALL[11]])
def test_nothing_retraces_between_batches_and_runs(attack, assert_nothing_retraces):
    assert_nothing_retraces(attack)
