"""The gradient attacks against cleverhans' functions, closed forms on a linear model, and each
other.
"""

import numpy as np
import pytest
import tensorflow as tf
from cleverhans.tf2.attacks.fast_gradient_method import fast_gradient_method
from cleverhans.tf2.attacks.momentum_iterative_method import momentum_iterative_method
from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

from madvae_tf.attacks import ATTACKS, STRONG_ATTACKS, DefendedModel, run_attack

SEED = (11, 12)
STEPS = {"epsilon": 0.1, "step_size": 0.02, "iterations": 8}
CLEVERHANS_STEPS = {"eps": 0.1, "eps_iter": 0.02, "nb_iter": 8}


@pytest.mark.parametrize(
    ("attack", "function", "arguments"),
    [
        (ATTACKS["fgsm"](epsilon=0.2, float64=False), fast_gradient_method, {"eps": 0.2}),
        (
            ATTACKS["pgd"](**STEPS, random_start=False, float64=False),
            projected_gradient_descent,
            CLEVERHANS_STEPS,
        ),
        (
            ATTACKS["mi_fgsm"](**STEPS, decay=0.9, float64=False),
            momentum_iterative_method,
            {**CLEVERHANS_STEPS, "decay_factor": 0.9},
        ),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_without_float64_equals_cleverhans_bit_for_bit(attack, function, arguments, prey):
    expected = function(
        prey.target.logits,
        prey.x,
        norm=np.inf,
        clip_min=0.0,
        clip_max=1.0,
        y=prey.y,
        sanity_checks=False,
        **arguments,
    )
    result = attack(prey.target, tf.constant(prey.x), tf.constant(prey.y), SEED)
    np.testing.assert_array_equal(result, expected)


def _normal(shape):
    return np.sign(tf.random.stateless_normal(shape, SEED, alg="philox").numpy()).astype(np.float64)


def _uniform(shape, bound):
    return (
        tf.random.stateless_uniform(shape, SEED, -bound, bound, alg="philox")
        .numpy()
        .astype(np.float64)
    )


def _clip(x):
    return np.clip(x, 0, 1)


def _fgsm(x, gradient):
    return _clip(x + 0.1 * np.sign(gradient(x)))


def _rand_fgsm(x, gradient):
    start = _clip(x + 0.04 * _normal(x.shape))
    return _clip(start + 0.06 * np.sign(gradient(start)))


def _pgd(x, gradient):
    x_adv = _clip(x + _uniform(x.shape, 0.1))
    for _ in range(8):
        x_adv = _clip(np.clip(_clip(x_adv + 0.02 * np.sign(gradient(x_adv))), x - 0.1, x + 0.1))
    return x_adv


def _mi_fgsm(x, gradient):
    momentum, x_adv = 0, x
    for _ in range(8):
        step = gradient(x_adv)
        momentum = 0.9 * momentum + step / np.abs(step).sum((1, 2, 3), keepdims=True)
        x_adv = _clip(np.clip(x_adv + 0.02 * np.sign(momentum), x - 0.1, x + 0.1))
    return x_adv


@pytest.mark.parametrize(
    ("attack", "by_hand"),
    [
        (ATTACKS["fgsm"](epsilon=0.1), _fgsm),
        (ATTACKS["rand_fgsm"](epsilon=0.1, alpha=0.04), _rand_fgsm),
        (ATTACKS["pgd"](**STEPS), _pgd),
        (ATTACKS["mi_fgsm"](**STEPS, decay=0.9), _mi_fgsm),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_equals_its_formula_on_a_linear_model(attack, by_hand, linear):
    generator = np.random.default_rng(3)
    weights, bias = generator.normal(size=(784, 10)) / 10, generator.normal(size=10)
    x, y = generator.random((6, 28, 28, 1)).astype(np.float32), generator.integers(10, size=6)

    def gradient(images):
        """d cross-entropy / dx = W (softmax - one-hot), in float64."""
        logits = images.reshape(-1, 784) @ weights + bias
        softmax = np.exp(logits - logits.max(1, keepdims=True))
        softmax /= softmax.sum(1, keepdims=True)
        return ((softmax - np.eye(10)[y]) @ weights.T).reshape(images.shape)

    result = attack(linear(weights, bias), tf.constant(x), tf.constant(y), SEED)
    np.testing.assert_allclose(result, by_hand(x.astype(np.float64), gradient), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "parameters", "by_hand"),
    [
        ("fgsm", {"epsilon": 0.1}, _fgsm),
        ("rand_fgsm", {"epsilon": 0.1, "alpha": 0.04}, _rand_fgsm),
        ("pgd", STEPS, _pgd),
        ("mi_fgsm", {**STEPS, "decay": 0.9}, _mi_fgsm),
    ],
)
@pytest.mark.parametrize("lead", [24.0, 300.0])
def test_a_sure_classifier_blinds_float32_and_not_the_default(
    name, parameters, by_hand, lead, linear
):
    """The true class is so far above the others: each has 4e-11 of the softmax, far below float32's
    6e-8 next to 1, or 5e-131, which float32 cannot hold.
    """
    generator = np.random.default_rng(5)
    x, y = generator.random((6, 28, 28, 1)).astype(np.float32), np.full(6, 3)
    weights = generator.normal(size=(784, 10)) / 1000
    bias = lead * np.eye(10)[3]

    def gradient(images):
        logits = images.reshape(-1, 784) @ weights + bias
        softmax = np.exp(logits - logits.max(1, keepdims=True))
        softmax /= softmax.sum(1, keepdims=True)
        softmax[:, 3] = -np.delete(softmax, 3, axis=1).sum(
            1
        )  # softmax - one-hot, without the cancellation
        return (softmax @ weights.T).reshape(images.shape)

    expected = by_hand(x.astype(np.float64), gradient)
    target = linear(weights, bias)
    wrong = {}
    for float64 in (False, True):
        own = {} if float64 else {"float64": False}
        got = ATTACKS[name](**parameters, **own)(target, tf.constant(x), tf.constant(y), SEED)
        wrong[float64] = np.mean(np.abs(got - expected) > 1e-6)
    assert wrong[False] > 0.05 and wrong[True] < 0.005, wrong


def test_float64_is_named_where_it_is_off_only():
    assert ATTACKS["fgsm"]().parameters == {"epsilon": 0.3}
    assert ATTACKS["fgsm"](float64=False).parameters == {"epsilon": 0.3, "float64": False}


STRONG = {"epsilon": 0.1, "iterations": 10, "restarts": 1}


@pytest.mark.parametrize(
    "attack",
    [
        ATTACKS["fgsm"](epsilon=0.1),
        ATTACKS["rand_fgsm"](epsilon=0.1, alpha=0.04),
        ATTACKS["pgd"](**STEPS),
        ATTACKS["mi_fgsm"](**STEPS),
        STRONG_ATTACKS["pgd_restarts"](**STRONG, step_size=0.02),
        STRONG_ATTACKS["apgd"](**STRONG),
        STRONG_ATTACKS["apgd"](**STRONG, loss="margin"),
    ],
    ids=lambda attack: f"{attack.name}-{getattr(attack, 'loss', '')}",
)
def test_logits_times_a_thousand_are_the_same_classifier(attack, prey):
    """It answers the same, so that what fools one fools the other; with all logits so far apart the
    gradient is that of the second class alone.
    """
    target = DefendedModel(lambda x: 1000.0 * prey.target.logits(x))
    found = [
        run_attack(attack, each, prey.x, prey.y, SEED, batch_size=24)
        for each in (prey.target, target)
    ]
    assert (found[1].linf > 0.09).all()
    assert found[1].success.sum() >= found[0].success.sum() - 1 and found[0].success.any()


@pytest.mark.parametrize("epsilon", [0.02, 0.04, 0.08])
def test_a_stronger_attack_fools_at_least_as_often(epsilon, prey):
    def rate(name, **parameters):
        attack = ATTACKS[name](epsilon=epsilon, **parameters)
        return run_attack(attack, prey.target, prey.x, prey.y, SEED, batch_size=24).success.mean()

    steps = {"step_size": epsilon / 8, "iterations": 20}
    assert rate("pgd", **steps) >= rate("fgsm") >= rate("rand_fgsm", alpha=epsilon / 2)
    assert rate("mi_fgsm", **steps) >= rate("fgsm") > 0


@pytest.mark.parametrize(
    "attack",
    [
        ATTACKS["fgsm"](epsilon=0),
        ATTACKS["pgd"](epsilon=0),
        ATTACKS["rand_fgsm"](epsilon=0, alpha=0),
    ],
    ids=lambda attack: attack.name,
)
def test_a_budget_of_zero_changes_nothing(attack, prey):
    result = run_attack(attack, prey.target, prey.x, prey.y, SEED, batch_size=24)
    np.testing.assert_array_equal(result.x_adv, prey.x)
