"""Attacks of several runs: box, budget, seeds, batches; linear models whose optimum is known; checkpoints; queries."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import brentq

from madvae_tf.attacks import ATTACKS, STRONG_ATTACKS, Target, fold_seed, run_attack
from madvae_tf.attacks.apgd import APGD, checkpoints
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.fab import FAB
from madvae_tf.attacks.geometry import draws, image_seeds
from madvae_tf.attacks.repeated import OneRun, RepeatedAttack, runs_of
from madvae_tf.attacks.square import Square, _inside, _moved_mass, _placed, bump, double_bump, sides
from madvae_tf.errors import UserError

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
    np.testing.assert_array_equal(result.success, np.argmax(prey.target.logits(result.x_adv), 1) != prey.y)
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
        # The boundary lies so that every image is right and stays right: the best objective comes back.
        bias[0] = 1 - optimum.min()
        target = linear(weights, bias)
        result = run_attack(attack, target, images, np.zeros(5, int), (0, 0), batch_size=5)
        assert not result.success.any()
        reached = result.x_adv.reshape(5, -1) @ w
        start = x @ w
        assert ((reached - optimum) / (start - optimum) < slack).all(), attack


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_success_is_what_a_linear_model_allows(norm, linear):
    """With the boundary a little nearer or a little farther than the optimum, every strong gradient attack agrees with it."""
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
            result = run_attack(attack, target, x.reshape(1, 28, 28, 1), np.zeros(1, int), (0, 0), 1)
            assert result.success[0] == fooled, (attack, share)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_fab_finds_the_nearest_boundary_of_a_linear_model(norm, linear):
    generator = np.random.default_rng(10)
    w, weights, bias = gap(generator, linear)
    x = np.clip(generator.normal(0.5, 0.5, 784), 0, 1).astype(np.float32)
    nearest = 0.013 if norm == "linf" else 0.7
    bias[0] = -lowest(w, x.astype(float), nearest, norm)
    attack = FAB(norm=norm, epsilon=1.0, targets=1, iterations=60)
    result = run_attack(attack, linear(weights, bias), x.reshape(1, 28, 28, 1), np.zeros(1, int), (0, 0), 1)
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
    """Fools the images whose label is the number of the run, by painting them white; notes what it was given."""

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
    result = run_attack(Counting(), Target(logits), x, np.array([0, 1, 1]), (4, 5), batch_size=3)
    seed = fold_seed((4, 5), 0)
    assert [(number, fold_seed(seed, number)) for number in (0, 1)] == SEEN
    assert result.success.all()
    alone = [OneRun(Counting(), number) for number in range(3)]
    assert runs_of(Counting()) == alone and runs_of(ATTACKS["fgsm"]()) == [ATTACKS["fgsm"]()]
    parts = [run_attack(part, Target(logits), x, np.array([0, 1, 1]), (4, 5), 3).success for part in alone]
    np.testing.assert_array_equal(parts, [[True, False, False], [False, True, True], [False] * 3])


def test_square_needs_values_only_and_asks_as_often_as_it_says(prey):
    asked = tf.Variable(0)

    def logits(x):
        asked.assign_add(1)
        # tf.round passes no gradient on.
        return prey.target.logits(tf.round(255 * x) / 255)

    # Alone in its batch, an image that holds out costs all its queries, where each of them changes it.
    attack = Square(norm="l2", epsilon=1e-3, queries=30)
    run_attack(attack, Target(logits), prey.x[:1], prey.y[:1], (0, 0), batch_size=1)
    # Two more: whether it is fooled as it is, and what became of it; and the driver's own.
    assert asked.numpy() == 30 + 3
    few, many = (
        run_attack(Square(queries=queries), Target(logits), prey.x, prey.y, (0, 0), 24).success
        for queries in (1, 200)
    )
    assert (few <= many).all() and few.sum() + 5 < many.sum()


def square_by_hand(logits, x, y, epsilon, queries, seed):
    """Each image alone, every query asked: the image found, and how many candidates were another image than the one there was."""
    chance = draws(image_seeds(tf.constant(x), seed), [queries, 6]).numpy()
    stripes = np.sign(draws(tf.bitwise.bitwise_xor(image_seeds(tf.constant(x), seed), 1), [1, 28, 1]).numpy())
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
        Target(logits), tf.constant(x), tf.constant(y), (0, 0), 0
    )
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # The image that asks most, and its start; one more where what is left of its queries changes nothing.
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


def test_the_bump_by_hand():
    # n = 1, so the rim weighs 1 / 2**2 and the middle that and 1 / 1**2.
    np.testing.assert_allclose(bump(3, 3), [[0.25] * 3, [0.25, 1.25, 0.25], [0.25] * 3])
    double = double_bump(5)
    assert np.linalg.norm(double) == pytest.approx(1) and (double[:2] > 0).all() and (double[2:] < 0).all()


def test_moving_mass_keeps_the_norm_and_empties_the_second_window():
    generator = np.random.default_rng(0)
    change = generator.normal(size=(3, 28, 28, 1)).astype(np.float32)
    change *= 1.5 / np.linalg.norm(change.reshape(3, -1), axis=1)[:, None, None, None]
    corners = tf.constant([[0, 0], [5, 7], [23, 23]]), tf.constant([[10, 10], [6, 8], [0, 3]])
    first, second = (_inside(corner, tf.fill([3], 5)) for corner in corners)
    pattern = np.zeros((28, 28), np.float32)
    pattern[:5, :5] = double_bump(5)
    shape = _placed(tf.constant(np.array([pattern] * 3)), corners[0], tf.constant([False, True, False]))
    np.testing.assert_array_equal(shape[1, 5:10, 7:12, 0], pattern[:5, :5].T)
    assert np.count_nonzero(shape) == 75
    moved = _moved_mass(tf.constant(change), tf.constant(2.0), first, second, shape).numpy()
    np.testing.assert_allclose(np.linalg.norm(moved.reshape(3, -1), axis=1), 2.0, rtol=1e-5)
    assert not moved[0, 10:15, 10:15].any() and not moved[2, 0:5, 3:8].any()
    untouched = ~(first | second).numpy()
    np.testing.assert_array_equal(moved[untouched], change[untouched])


@pytest.mark.parametrize(
    ("attack", "parameters", "words"),
    [
        ("apgd", {"norm": "l1"}, "Unknown norm 'l1'"),
        ("apgd", {"loss": "dlr_target"}, "Unknown loss 'dlr_target'. Did you mean 'dlr_targeted'"),
        ("pgd_restarts", {"loss": "dlr_targeted"}, "Unknown loss 'dlr_targeted'"),
        ("pgd_restarts", {"random_start": False}, "without a random start"),
        ("fab_t", {"targets": 10}, "<= 9"),
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
