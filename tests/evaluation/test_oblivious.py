"""Evaluation against definitions and loops: intervals, both metrics, confusion, warnings, refused
images.
"""

import numpy as np
import pytest
import tensorflow as tf
from scipy import optimize, stats

from madvae_tf.evaluation import oblivious
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.report.schema import validate_rows
from madvae_tf.utils.errors import UserError

COMMON = {
    "dataset": "mnist",
    "attack": "fgsm",
    "parameters": {"epsilon": 0.3},
    "threat_model": "oblivious",
    "defense": "vanilla",
    "seed": 0,
}


@pytest.mark.parametrize(
    ("successes", "n"),
    [(0, 1), (1, 1), (0, 60), (60, 60), (1, 7), (50, 100), (981, 1000), (9990, 10000)],
)
def test_the_wilson_interval_inverts_the_score_test(successes, n):
    """Its ends are the rates that the score test just rejects at 5%."""
    observed, z = successes / n, stats.norm.ppf(0.975)

    def score(rate):
        return (observed - rate) ** 2 * n - z**2 * rate * (1 - rate)

    low = (
        0.0 if successes == 0 else optimize.brentq(score, 0.0, min(observed, 1 - 1e-9), xtol=1e-14)
    )
    high = 1.0 if successes == n else optimize.brentq(score, max(observed, 1e-9), 1.0, xtol=1e-14)
    got = wilson_interval(successes, n)
    np.testing.assert_allclose(got, (low, high), atol=1e-9)
    assert 0 <= got[0] <= observed <= got[1] + 1e-12 <= 1 + 1e-12


def test_no_trial_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert wilson_interval(0, 100)[0] == 0.0 and wilson_interval(100, 100)[1] == 1.0


def test_accuracy_and_agreement_by_hand():
    predicted, label, clean = np.array([1, 2, 3, 4]), np.array([1, 2, 0, 0]), np.array([1, 5, 3, 4])
    accuracy, agreement = oblivious.defense_rows("table1", predicted, label, clean, COMMON)
    assert (accuracy["metric"], accuracy["value"], accuracy["n"]) == ("accuracy", 0.5, 4)
    assert (agreement["metric"], agreement["value"]) == ("agreement", 0.75)
    assert (accuracy["ci_low"], accuracy["ci_high"]) == wilson_interval(2, 4)
    assert (
        accuracy["paper"] is None and agreement["paper"] is not None
    )  # what the paper measured is agreement
    assert (
        oblivious.defense_rows(
            "table1", predicted, label, clean, COMMON | {"dataset": "fashion_mnist"}
        )[1]["paper"]
        is None
    )
    validate_rows([accuracy, agreement])


@pytest.mark.parametrize(("attack", "safe"), [("fgsm", 0.75), ("none", 0.25)])
def test_detection_by_hand(attack, safe):
    """An attacked image is safe where it is refused or right, a clean one where it is accepted and
    right.
    """
    refused, right = np.array([True, True, False, False]), np.array([True, False, True, False])
    rate, kept = oblivious.detection_rows(
        "baselines", refused, right, COMMON | {"attack": attack, "defense": "magnet"}
    )
    assert (rate["metric"], rate["value"]) == ("detection_rate", 0.5)
    assert (kept["metric"], kept["value"]) == ("safe_rate", safe)


def test_the_undefended_classifier_does_not_agree_with_itself_on_clean_images():
    rows = oblivious.defense_rows(
        "table1", *[np.arange(5)] * 3, COMMON | {"attack": "none", "defense": "none"}
    )
    assert [row["metric"] for row in rows] == ["accuracy"]


@pytest.mark.parametrize(
    ("defense", "table"),
    [("vanilla", "table8"), ("cls", "table9"), ("pd", "table2"), ("combined", "table10")],
)
def test_confusion_counts_by_brute_force(defense, table):
    rng = np.random.default_rng(0)
    predicted, label = rng.integers(0, 10, 500), rng.integers(0, 10, 500)
    common = {"dataset": "mnist", "threat_model": "oblivious", "defense": defense, "seed": 0}
    rows = oblivious.confusion_rows(predicted, label, common, 10)
    validate_rows(rows)
    assert {row["table"] for row in rows} == {table} and len(rows) == 100
    for row in rows:
        true, guess = row["parameters"]["true"], row["parameters"]["predicted"]
        assert row["value"] == sum(
            t == true and p == guess for t, p in zip(label, predicted, strict=True)
        )
        assert row["n"] == 500
    assert sum(row["value"] for row in rows) == 500


def test_of_many_classes_the_rows_are_the_most_frequent_confusions():
    """Class c < 25 is taken for class 29 c times, and right 30 - c times."""
    label = np.repeat(np.arange(25), 30)
    predicted = np.where(np.arange(750) % 30 < label, 29, label)
    common = {"dataset": "own", "threat_model": "oblivious", "defense": "cls", "seed": 0}
    rows = oblivious.confusion_rows(predicted, label, common, 30)
    validate_rows(rows)
    assert [(row["parameters"], row["value"]) for row in rows] == [
        ({"true": true, "predicted": 29, "of": 30}, true) for true in range(24, 4, -1)
    ]
    few = oblivious.confusion_rows(np.array([0, 2, 2]), np.array([0, 1, 2]), common, 3)
    assert len(few) == 9 and sum(row["value"] for row in few) == 3


def test_no_confusion_table_without_a_defence():
    assert oblivious.confusion_rows(*np.zeros((2, 3), int), {"defense": "none"}, 10) == []


def test_attack_rows_measure_success_and_distance():
    clean = np.full((3, 28, 28, 1), 0.5, np.float32)
    x_adv = clean.copy()
    x_adv[0, 0, :4] = 0.8  # misclassified: L2 2 * 0.3, L-infinity 0.3
    x_adv[1, 0, 0] = 0.6  # misclassified: 0.1 and 0.1
    rows = oblivious.attack_rows(
        x_adv, clean, np.array([1, 1, 2]), np.array([0, 0, 2]), COMMON | {"defense": "none"}
    )
    values = {row["metric"]: (row["value"], row["n"]) for row in rows}
    assert values == {
        "success_rate": (pytest.approx(2 / 3), 3),
        "mean_l2": (pytest.approx(0.7 / 3), 3),
        "mean_linf": (pytest.approx(0.4 / 3), 3),
    }
    validate_rows(rows)


def accuracy(attack, defense, correct, n=1000):
    hits = np.arange(n) < correct
    return oblivious.rate_row(
        "table1", "accuracy", hits, COMMON | {"attack": attack, "defense": defense}
    )


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            [("fgsm", "none", 100), ("pgd", "none", 200)],
            ["pgd leaves .* 0.2000, above fgsm's 0.1000"],
        ),
        ([("fgsm", "none", 100), ("mi_fgsm", "none", 200)], ["mi_fgsm leaves"]),
        ([("rand_fgsm", "none", 100), ("fgsm", "none", 200)], ["fgsm leaves .* above rand_fgsm"]),
        ([("fgsm", "none", 100), ("pgd", "none", 110)], []),  # within the intervals
        ([("fgsm", "none", 200), ("pgd", "none", 100)], []),
        ([("fgsm", "cls", 100), ("pgd", "cls", 900)], []),  # the attacks do not know of the defence
        (
            [("none", "none", 993), ("none", "cls", 970)],
            ["cls .seed 0. costs clean accuracy: 0.9700 against 0.9930"],
        ),
        ([("none", "none", 993), ("none", "cls", 980)], []),
        ([("none", "none", 993), ("fgsm", "cls", 500)], []),
        ([("none", "cls", 100)], []),
        (
            [("none", "cls", 860), ("fgsm", "cls", 950)],
            ["cls .* 0.9500 of the fgsm .* 0.8600 .*label leaking"],
        ),
        ([("none", "cls", 940), ("fgsm", "cls", 950)], []),  # within the intervals
        ([("none", "vanilla", 860), ("fgsm", "cls", 950)], []),  # another defence's clean images
        ([], []),
    ],
)
def test_sanity_warnings(rows, said):
    warnings = oblivious.sanity_warnings([accuracy(*row) for row in rows])
    assert len(warnings) == len(said)
    for warning, pattern in zip(warnings, said, strict=True):
        assert tf.strings.regex_full_match(warning, f".*{pattern}.*") and "\n" not in warning


@pytest.mark.parametrize("n", [1, 4, 5, 9, 10])
def test_padding_has_no_influence(n):
    images = np.random.default_rng(n).random((n, 28, 28, 1)).astype(np.float32)
    shapes = []

    def function(batch):
        shapes.append(tuple(batch.shape))
        return tf.reduce_sum(batch, axis=(1, 2, 3))

    got = oblivious.batched(function, images, 4)
    np.testing.assert_allclose(got, images.sum(axis=(1, 2, 3)), rtol=1e-5)
    assert got.shape == (n,) and set(shapes) == {(4, 28, 28, 1)}


GOOD = np.full((3, 28, 28, 1), 0.5, np.float32)


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (np.where(np.arange(28)[:, None] == 3, np.nan, GOOD), "84 values are NaN or infinite"),
        (GOOD * np.inf, "NaN or infinite"),
        (GOOD * 3, r"received values in \[1.5, 1.5\], expected \[0, 1\]"),
        (GOOD - 1, r"received values in \[-0.5, -0.5\]"),
        (GOOD[..., 0], r"received shape \(3, 28, 28\)"),
        (GOOD[:, :7], r"received shape \(3, 7, 28, 1\)"),
        ((GOOD * 255).astype(np.uint8), "divide uint8 images by 255"),
    ],
)
def test_bad_images_are_one_clear_line(images, said):
    with pytest.raises(UserError, match=said) as caught:
        oblivious.batched(tf.identity, images, 4)
    assert "\n" not in str(caught.value)
