"""HopSkipJump, SPSA and SimBA: box, budget, batches; what they must find on models whose boundary
is known; how often they ask.
"""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import STRONG_ATTACKS, DefendedModel, fold_seed, run_attack
from madvae_tf.attacks.geometry import draws, image_seeds
from madvae_tf.attacks.hop_skip_jump import HopSkipJump, chunks_at, iterations_within
from madvae_tf.attacks.simba import SimBA
from madvae_tf.attacks.spsa import SPSA, estimate
from madvae_tf.utils.errors import UserError

ATTACKS = [
    HopSkipJump(epsilon=0.06, queries=700),
    HopSkipJump(norm="l2", epsilon=0.9, queries=700),
    SPSA(epsilon=0.05, queries=150, samples=16, learning_rate=0.02),
    SPSA(norm="l2", epsilon=0.8, queries=150, samples=16, learning_rate=0.02),
    SimBA(epsilon=0.2, step=0.2, queries=400),
    SimBA(norm="l2", epsilon=0.8, step=0.2, queries=400),
]
ALL = [pytest.param(attack, id=f"{attack.name}-{attack.norm}") for attack in ATTACKS]


def labels_only(target):
    """Such a target has no gradient, and logits that say the class and nothing else."""
    return DefendedModel(lambda x: tf.one_hot(tf.argmax(target.logits(x), axis=1), 10))


@pytest.mark.parametrize("attack", ALL)
def test_box_budget_success_and_independence_of_the_batch(attack, prey):
    result = run_attack(attack, prey.target, prey.x, prey.y, (1, 2), batch_size=24)
    distance = result.linf if attack.norm == "linf" else result.l2
    assert distance.max() <= attack.epsilon * (1 + 1e-5)
    assert 0 < result.success.sum() < 24
    np.testing.assert_array_equal(
        result.success, np.argmax(prey.target.logits(result.x_adv), 1) != prey.y
    )
    order = np.random.default_rng(0).permutation(24)[:9]
    again = run_attack(attack, prey.target, prey.x[order], prey.y[order], (1, 2), batch_size=24)
    np.testing.assert_array_equal(again.x_adv, result.x_adv[order])


@pytest.mark.parametrize(
    "attack",
    [
        HopSkipJump(epsilon=0.06, queries=400),
        SPSA(epsilon=0.05, queries=40, samples=16, learning_rate=0.02),
        SimBA(epsilon=0.2, step=0.2, queries=50),
    ],
    ids=lambda attack: attack.name,
)
def test_nothing_retraces_and_another_seed_draws_anew(attack, prey, assert_nothing_retraces):
    assert_nothing_retraces(attack)
    one, other = (
        run_attack(attack, prey.target, prey.x, prey.y, (1, s), batch_size=24).x_adv for s in (2, 3)
    )
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(
    "attack",
    [
        HopSkipJump(epsilon=0.5, queries=700),
        SPSA(epsilon=0.5, queries=600, samples=16, learning_rate=0.04),
        SimBA(epsilon=0.5, step=0.5),
    ],
    ids=lambda attack: attack.name,
)
def test_an_undefended_classifier_falls(attack, prey):
    """For all but a few of the images, at a budget that turns any image grey."""
    assert (
        run_attack(attack, prey.target, prey.x, prey.y, (0, 0), batch_size=24).success.sum() >= 20
    )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_labels_alone_lead_hop_skip_jump_near_the_nearest_boundary(norm, linear):
    """z_0 - z_1 = <w, x> + b: the nearest misclassified image is at |<w, x> + b| / ||w||_1, or over
    ||w||_2.
    """
    generator = np.random.default_rng(3)
    w = generator.normal(size=784)
    # Noise is then on either side of the boundary.
    w -= w.mean()
    weights, bias = np.zeros((784, 10)), np.full(10, -1e3)
    weights[:, 0], weights[:, 1] = w / 2, -w / 2
    x = generator.uniform(0.3, 0.7, (4, 784))
    size = np.abs(w).sum() if norm == "linf" else np.linalg.norm(w)
    nearest = 0.01 if norm == "linf" else 0.3
    # Moved along w until all have the same lead, at a distance of `nearest`.
    x = (x - ((x @ w) / (w @ w))[:, None] * w).astype(np.float32)
    bias[:2] = nearest * size, 0
    target, images = labels_only(linear(weights, bias)), x.reshape(-1, 28, 28, 1)
    near, far = (
        run_attack(
            HopSkipJump(norm=norm, queries=4_000, epsilon=share * nearest),
            target,
            images,
            np.zeros(4, int),
            (0, 0),
            batch_size=4,
        )
        for share in (0.99, 1.7)
    )
    assert not near.success.any() and not near.l2.any()
    assert far.success.all() and (getattr(far, norm) >= nearest * (1 - 1e-4)).all()


def test_hop_skip_jump_keeps_its_budget_of_labels(prey):
    asked = tf.Variable(0)

    def logits(x):
        asked.assign_add(1)
        return prey.target.logits(x)

    for norm, queries in (("linf", 1_500), ("l2", 900)):
        asked.assign(0)
        attack = HopSkipJump(norm=norm, epsilon=0.0, queries=queries)
        # Alone in its batch, an image that holds out costs all its iterations; the driver's look
        # and the base's two are no queries.
        run_attack(attack, DefendedModel(logits), prey.x[:1], prey.y[:1], (0, 0), batch_size=1)
        assert 0.5 * queries < asked.numpy() - 3 <= queries
    assert [chunks_at(t) * 25 for t in (1, 2, 4, 9)] == [100, 150, 200, 300]
    assert (
        iterations_within(50, "l2")
        == 0
        < iterations_within(500, "l2")
        < iterations_within(20_000, "l2")
    )


def test_an_image_without_a_misclassified_start_stays():
    target = DefendedModel(lambda x: tf.one_hot(tf.zeros(tf.shape(x)[0], tf.int32), 10))
    x = np.full((2, 28, 28, 1), 0.5, np.float32)
    result = run_attack(
        HopSkipJump(queries=2_000), target, x, np.zeros(2, int), (0, 0), batch_size=2
    )
    np.testing.assert_array_equal(result.x_adv, x)


def test_spsa_estimates_a_linear_models_gradient(linear):
    """E[v <w, v>] = w: with 256 pairs each coordinate has the variance (||w||^2 - w_i^2) / 256
    around it.
    """
    generator = np.random.default_rng(4)
    w = generator.normal(size=784)
    weights, bias = np.zeros((784, 10)), np.full(10, -1e3)
    weights[:, 0], weights[:, 1] = w / 2, -w / 2
    bias[:2] = 0
    x = tf.fill([1, 28, 28, 1], 0.5)
    seeds, delta = image_seeds(x, (5, 6)), tf.constant(0.01)
    found = np.array(
        estimate(linear(weights, bias).logits, x, tf.constant([0]), seeds, delta, 256)
    ).ravel()
    off = (found - w) / np.sqrt((w @ w - w**2) / 256)
    assert 0.9 < off.std() < 1.1 and abs(off.mean()) < 0.15


def test_spsa_follows_uesatos_steps(linear):
    """The first step of Adam is the rate times the gradient's sign, wherever the estimate is not 0."""  # noqa: E501
    generator = np.random.default_rng(5)
    weights = generator.normal(size=(784, 10))
    target = linear(weights, np.zeros(10))
    x = np.full((1, 28, 28, 1), 0.5, np.float32)
    y = np.argmax(target.logits(x), axis=1)
    attack = SPSA(epsilon=1.0, queries=10, samples=8, learning_rate=1e-4)
    moved = run_attack(attack, target, x, y, (0, 0), batch_size=1).x_adv - x
    np.testing.assert_allclose(np.abs(moved), 1e-4, rtol=2e-3)


def slow_simba(logits, x, y, order, step, epsilon, norm, queries):
    """Guo et al.'s Algorithm 1, a pixel and a sign at a time: the image and how often it asked.
    Odds have the probability's order.
    """

    def confidence(image):
        z = np.asarray(logits(tf.constant(image[None])), np.float64)[0]
        return z[y] - np.log(np.exp(np.delete(z, y)).sum()), z.argmax()

    image, asked = x.copy(), 1
    lowest, label = confidence(image)
    for pixel in order:
        for sign in (step, -step):
            if label != y or asked == queries:
                return image, asked
            candidate = image.copy().ravel()
            candidate[pixel] = np.clip(candidate[pixel] + np.float32(sign), 0, 1)
            candidate = candidate.reshape(x.shape)
            found, guess = confidence(candidate)
            asked += 1
            change = (
                np.abs(candidate - x).max() if norm == "linf" else np.linalg.norm(candidate - x)
            )
            if found < lowest and change <= epsilon * (1 + 1e-6):
                image, lowest, label = candidate, found, guess
                break
    return image, asked


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.2), ("l2", 0.8)])
def test_simba_is_the_papers_algorithm(norm, epsilon, prey):
    attack = SimBA(norm=norm, epsilon=epsilon, step=0.2, queries=100)
    x, y = prey.x[:10], prey.y[:10]
    result = run_attack(attack, prey.target, x, y, (0, 0), batch_size=10)
    # The order of its pixels is drawn from the image's seed: the same draw here.
    seeds = image_seeds(tf.constant(x), fold_seed(fold_seed((0, 0), 0), 0))
    order = np.argsort(draws(seeds, [784]), axis=1, kind="stable")
    same = []
    for index in range(10):
        image, asked = slow_simba(
            prey.target.logits, x[index], y[index], order[index], 0.2, epsilon, norm, 100
        )
        assert asked <= 100
        same.append(np.allclose(image, result.x_adv[index], atol=1e-6))
    # A comparison may turn on the last bit of a sum.
    assert sum(same) >= 9 and any(result.linf > 0)


def test_simba_tries_every_pixel_twice_and_ends(linear):
    """Where no change lowers the true class, it asks for all of them and returns the image."""
    asked = tf.Variable(0)

    def logits(x):
        asked.assign_add(1)
        return tf.one_hot(tf.zeros(tf.shape(x)[0], tf.int32), 10)

    x = np.full((1, 28, 28, 1), 0.5, np.float32)
    result = run_attack(SimBA(), DefendedModel(logits), x, np.zeros(1, int), (0, 0), batch_size=1)
    assert asked.numpy() - 3 == 1 + 2 * 784 and (result.x_adv == x).all()


@pytest.mark.parametrize(
    ("attack", "parameters", "words"),
    [
        ("hop_skip_jump", {"norm": "l1"}, "Unknown norm 'l1'"),
        ("hop_skip_jump", {"queries": 0}, "expected an integer >= 1"),
        ("spsa", {"samples": 7}, "an even number"),
        ("spsa", {"queries": 100}, "below queries"),
        ("simba", {"step": 0.4}, "at most epsilon"),
        ("simba", {"queries": 0}, "expected an integer >= 1"),
    ],
)
def test_bad_parameters_get_one_line(attack, parameters, words):
    with pytest.raises(UserError) as caught:
        STRONG_ATTACKS[attack](**parameters)
    assert words in str(caught.value) and "\n" not in str(caught.value)
