"""Labels of images: class numbers from 0 on, of any number of classes from 2 to 1,000."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from madvae_tf.utils.errors import UserError

LEAST_CLASSES, MOST_CLASSES = 2, 1000
# Table 6 and Table 7 end in so many logits.
PAPER_CLASSES = 10
# So many classes are named in a message.
_NAMED = 8


def check_labels(
    labels: object,
    count: int,
    what: str = "labels",
    way_out: str = "take the arg-max of probabilities",
    classes: int | None = None,
) -> np.ndarray:
    """Labels of `count` images as int64 (count,), or says what is wrong with them.

    Args:
        labels: integers or whole floating point numbers (count,) or (count, 1); or one-hot rows
            (count, k), k from 2 on.
        what: what the labels are, for the message.
        way_out: from values of another dtype or shape, for the message.
        classes: see `check_classes`; None: as many as the labels have.

    Raises:
        UserError: another dtype or shape, or a value that is no class.
    """
    array = np.asarray(labels)
    if array.shape == (count, 1):
        array = array[:, 0]
    if array.dtype.kind in "SUO":
        raise UserError(
            f"Invalid {what}: received {array.dtype} of shape {array.shape}, expected class"
            " numbers; numpy.unique(labels, return_inverse=True) gives the names and the numbers."
        )
    if array.ndim == 2 and len(array) == count and array.shape[1] >= LEAST_CLASSES:
        array = _of_one_hot(array)
    kind = getattr(array, "dtype", np.dtype(object)).kind
    whole = kind in "iub" or (
        kind == "f" and np.isfinite(array).all() and (array == np.floor(array)).all()
    )
    if not whole or array.shape != (count,):
        received = np.asarray(labels)
        raise UserError(
            f"Invalid {what}: received {received.dtype} of shape {received.shape}, expected"
            f" integers of shape ({count},), one class number per image, or one-hot rows;"
            f" {way_out}."
        )
    numbers = array.astype(np.int64)
    check_classes(numbers, classes, what)
    return numbers


def _of_one_hot(rows: np.ndarray) -> Any:
    """The places of the ones; the rows themselves where they are not one-hot."""
    ones = rows == 1
    valid = (ones | (rows == 0)).all() and (ones.sum(axis=1) == 1).all()
    return ones.argmax(axis=1) if valid else rows


def check_classes(labels: np.ndarray, classes: int | None, what: str = "labels") -> None:
    """Raises `UserError` where a label is no number of a class.

    Args:
        labels: int64 (n,).
        classes: how many outputs the classifier has; None: no more than 1,000.
    """
    if not labels.size:
        return
    low, high = int(labels.min()), int(labels.max())
    most = MOST_CLASSES if classes is None else classes
    if low >= 0 and high < most:
        return
    of = "" if classes is None else f" for {classes} outputs of the classifier"
    way_out = ""
    if low == 1 and high == classes:
        way_out = "; they begin at 1: subtract 1 from each"
    elif low >= 0 and classes is not None:
        way_out = f"; {high + 1} classes need a classifier with {high + 1} outputs"
    raise UserError(
        f"Invalid {what}: received values in [{low}, {high}]{of}, expected"
        f" [0, {most - 1}]{way_out}."
    )


def class_count(labels: np.ndarray) -> int:
    """How many classes labels int64 (n,) have: the largest and one more, 2 at the least."""
    return max(LEAST_CLASSES, int(labels.max(initial=0)) + 1)


def classes_entry(classes: int) -> dict[str, int]:
    """The entry of a model's configuration that says how many classes it tells apart; none for the
    paper's, as files always had it.
    """
    return {} if classes == PAPER_CLASSES else {"num_classes": classes}


def number_names(classes: int) -> tuple[str, ...]:
    """ "0", "1", ...: the names of classes that have none."""
    return tuple(map(str, range(classes)))


def skipped(labels: np.ndarray, classes: int, names: Sequence[str] | None = None) -> str:
    """A sentence about the classes that no label names; "" where each has an image.

    Args:
        labels: int64 (n,) in [0, classes).
        names: of the classes.
    """
    absent = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if not len(absent):
        return ""
    known = number_names(classes) if names is None else names
    shown = ", ".join(known[int(label)] for label in absent[:_NAMED])
    more = f" and {len(absent) - _NAMED} more" if len(absent) > _NAMED else ""
    one = "classes has" if len(absent) == 1 else "classes have"
    way_out = (
        "; if the labels begin at 1, subtract 1 from each"
        if absent[0] == 0 and names is None
        else ""
    )
    return f"{len(absent)} of {classes} {one} no image: {shown}{more}{way_out}."


def chance(classes: int) -> float:
    """The accuracy of a guess among classes of one size."""
    return 1 / classes


def above_chance(classes: int, share: float) -> float:
    """The accuracy that lies by `share` of the way from chance to 1."""
    return chance(classes) + share * (1 - chance(classes))
