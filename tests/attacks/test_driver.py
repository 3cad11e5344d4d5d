"""The driver: arguments, padding, streaming, seeds, and attacks that break their promises."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import ATTACKS, Attack, AttackResult, attack_batches, fold_seed, run_attack
from madvae_tf.utils.errors import UserError

# The first eight bytes of SHA-256("0,0"), four and four, each shifted right by one.
FOLDED = (966410506, 349489840)


@dataclasses.dataclass(frozen=True)
class Rogue(Attack):
    """Adds a constant, whatever it promised."""

    name: ClassVar[str] = "rogue"
    epsilon: float = 0.1
    shift: float = 0.0

    def __post_init__(self):
        pass

    def __call__(self, target, x, y, seed):
        return x + self.shift


@pytest.mark.parametrize(
    ("shift", "start", "words"),
    [
        (0.2, 0.5, "exceeded its budget"),
        (0.05, 1.0, "left"),
        (-0.05, 0.0, "left"),
        (np.nan, 0.5, "NaN"),
    ],
)
def test_an_attack_that_breaks_its_promise_is_a_bug(shift, start, words, prey):
    x = np.full((3, 28, 28, 1), start, np.float32)
    with pytest.raises(RuntimeError, match=words):
        run_attack(Rogue(shift=shift), prey.target, x, np.zeros(3, int), (0, 0), batch_size=2)


def test_an_attack_within_its_promise_passes(prey):
    x = np.full((3, 28, 28, 1), 0.5, np.float32)
    result = run_attack(Rogue(shift=0.1), prey.target, x, np.zeros(3, int), (0, 0), batch_size=2)
    np.testing.assert_allclose(result.l2, 2.8, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": np.full((2, 28, 28, 1), np.nan)}, "images to attack.*NaN"),
        ({"x": np.full((2, 28, 28, 1), 255.0)}, "images to attack"),
        ({"x": np.zeros((2, 28, 28), np.float32)}, r"shape \(2, 28, 28\)"),
        ({"x": np.zeros((2, 28, 28, 1), np.uint8)}, "divide uint8"),
        ({"y": np.zeros(3, int)}, r"labels.*expected integers of shape \(2,\)"),
        ({"y": np.zeros((2, 10), int)}, "arg-max of probabilities"),
        ({"y": np.full(2, 0.5)}, "float64"),
        ({"y": np.array([0, -1])}, r"received values in \[-1, 0\]"),
        ({"y": np.array([-1, 1])}, r"received values in \[-1, 1\]"),
        ({"batch_size": 0}, "batch_size: received 0"),
        ({"batch_size": 2.0}, "batch_size: received 2.0"),
        ({"start_batch": -1}, "start_batch: received -1"),
        ({"seed": (1, 2, 3)}, "pair of integers"),
        ({"seed": (1, 0.5)}, "pair of integers"),
        ({"seed": 7}, "pair of integers"),
    ],
)
def test_invalid_arguments_are_refused_before_any_work(change, words, prey):
    arguments = {
        "x": np.zeros((2, 28, 28, 1), np.float32),
        "y": np.zeros(2, int),
        "seed": (0, 0),
        **change,
    }
    with pytest.raises(UserError, match=words) as caught:
        attack_batches(ATTACKS["none"](), prey.target, **arguments)
    assert "\n" not in str(caught.value)


def test_batches_are_padded_for_the_attack_and_not_in_the_result(prey):
    shapes, done = [], []

    class Spy(Rogue):
        def __call__(self, target, x, y, seed):
            shapes.append((x.shape, y.shape, x.dtype, y.dtype, seed))
            return x

    results = list(
        attack_batches(
            Spy(), prey.target, prey.x[:11], prey.y[:11].astype(np.uint8), (3, 4), 4, 7, done.append
        )
    )
    assert [len(result.x_adv) for result in results] == done == [4, 4, 3]
    assert shapes == [
        ((4, 28, 28, 1), (4,), tf.float32, tf.int64, fold_seed((3, 4), batch))
        for batch in (7, 8, 9)
    ]
    np.testing.assert_array_equal(AttackResult.concatenate(results).x_adv, prey.x[:11])


def test_no_images_give_an_empty_result(prey):
    result = run_attack(ATTACKS["fgsm"](), prey.target, prey.x[:0], prey.y[:0], (0, 0))
    assert result.x_adv.shape == (0, 28, 28, 1) and result.x_adv.dtype == np.float32
    assert result.success.dtype == bool and result.linf.shape == result.l2.shape == (0,)


def test_folded_seeds_are_fixed_distinct_and_in_range():
    assert fold_seed((0, 0)) == FOLDED
    seeds = {
        fold_seed((first, second), batch)
        for first in range(5)
        for second in range(5)
        for batch in range(20)
    }
    assert len(seeds) == 500
    assert all(0 <= part < 2**31 for seed in seeds for part in seed)
    assert fold_seed((np.int64(1), 2), np.int32(3)) == fold_seed((1, 2), 3) != fold_seed((1, 23))
