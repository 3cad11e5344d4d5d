"""Labels in every form they come in, and each mistake in one line with its way out."""

import numpy as np
import pytest

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.labels import above_chance, check_labels, class_count, skipped

EXPECTED = [3, 0, 2]


@pytest.mark.parametrize(
    "labels",
    [
        [3, 0, 2],
        np.array([3, 0, 2], np.uint8),
        np.array([[3], [0], [2]], np.int16),
        np.array([3.0, 0.0, 2.0]),
        np.array([[3], [0], [2]], np.float32),
        np.eye(4)[EXPECTED],
        np.eye(4, dtype=bool)[EXPECTED],
        np.eye(300, dtype=np.uint8)[EXPECTED],
    ],
)
def test_labels_come_in_many_forms(labels):
    found = check_labels(labels, 3, classes=4)
    assert found.dtype == np.int64 and found.tolist() == EXPECTED


def test_two_classes_may_be_truth_values():
    assert check_labels([True, False], 2).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([3, 0], "expected integers of shape"),
        ([0.5, 0, 1], "expected integers of shape"),
        ([np.nan, 0, 1], "expected integers of shape"),
        (np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]), "take the arg-max of probabilities"),
        (np.ones((3, 2)), "expected integers of shape"),
        (np.zeros((3, 2), int), "expected integers of shape"),
        (np.zeros((3, 1, 1), int), "expected integers of shape"),
        (np.array([[3, 0, 2]]), "expected integers of shape"),
        (["cat", "dog", "cat"], "numpy.unique"),
        ([0, -1, 2], r"received values in \[-1, 2\], expected \[0, 999\]"),
        ([0, 1000, 2], r"received values in \[0, 1000\], expected \[0, 999\]"),
    ],
)
def test_what_is_no_label_is_one_line(labels, message):
    with pytest.raises(UserError, match=message) as caught:
        check_labels(labels, 3)
    assert "\n" not in str(caught.value)


def test_labels_and_outputs_must_fit():
    with pytest.raises(UserError, match="begin at 1: subtract 1 from each"):
        check_labels([1, 2, 3], 3, classes=3)
    with pytest.raises(UserError, match="5 classes need a classifier with 5 outputs"):
        check_labels([0, 2, 4], 3, classes=3)
    assert check_labels([1, 2, 2], 3, classes=3).tolist() == [1, 2, 2]


def test_classes_without_an_image_are_named():
    labels = np.array([1, 2, 4])
    assert class_count(labels) == 5 and class_count(np.zeros(3, int)) == 2
    assert skipped(labels, 5) == (
        "2 of 5 classes have no image: 0, 3; if the labels begin at 1, subtract 1 from each."
    )
    assert skipped(labels, 5, "abcde") == "2 of 5 classes have no image: a, d."
    assert skipped(np.array([0, 1]), 3) == "1 of 3 classes has no image: 2."
    assert skipped(np.arange(3), 3) == ""
    assert skipped(np.array([0]), 100).endswith("1, 2, 3, 4, 5, 6, 7, 8 and 91 more.")


def test_chance_of_any_number_of_classes():
    """What was 0.3 and 0.5 of ten classes lies as far above a coin of two."""
    assert above_chance(10, 2 / 9) == pytest.approx(0.3)
    assert above_chance(10, 4 / 9) == pytest.approx(0.5)
    assert above_chance(2, 2 / 9) == pytest.approx(0.5 + 0.5 * 2 / 9)
