"""The worst case's rows where attacks met a part of the images: never a figure that counts what
nobody attacked.
"""

import numpy as np

from madvae_tf.attacks.apgd import APGD
from madvae_tf.evaluation import Suite, Trial
from madvae_tf.evaluation.result import Outcome
from madvae_tf.evaluation.rows import worst_rows

COMMON = {"dataset": "mnist", "defense": "cls", "seed": 0, "threat_model": "transfer"}
RIGHT = np.array([True, False, True, True, False, True])


def outcome(title, attacked=None):
    trial = Trial(title, APGD())
    mask = None if attacked is None else np.isin(np.arange(6), attacked)
    return Outcome(Suite("gradient", (trial,)), trial, RIGHT, (), mask)


def rows(*outcomes):
    return [
        (row["value"], row["n"], row["parameters"])
        for row in worst_rows(RIGHT, outcomes, COMMON, {"a": 1})
    ]


def test_all_images_that_were_met_and_no_others():
    assert rows(outcome("one"), outcome("two")) == [(4 / 6, 6, {"a": 1})]
    # Images 0, 1 and 4: two of them fell. Had the others counted, it would be 4 / 6 again.
    part = [0, 1, 4]
    assert rows(outcome("one", part), outcome("two", part)) == [(1 / 3, 3, {"a": 1})]


def test_an_attack_on_fewer_is_named_though_another_of_its_name_met_all():
    expected = [
        (4 / 6, 6, {"a": 1, "partial": "one 2"}),
        (1 / 2, 2, {"a": 1, "met": "every attack"}),
    ]
    assert rows(outcome("one", [0, 1]), outcome("one")) == expected
    assert rows(outcome("one"), outcome("one", [0, 1])) == expected
    # Of 0, 1 and 4 one met 0 and 4 only.
    assert rows(outcome("one", [0, 1, 4]), outcome("two", [0, 4])) == [
        (1 / 3, 3, {"a": 1, "partial": "two 2"}),
        (1 / 2, 2, {"a": 1, "met": "every attack"}),
    ]
