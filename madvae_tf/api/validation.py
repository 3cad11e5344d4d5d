"""What `fit` and `fit_robust` are given, checked: images and labels, what is held out of them,
folders, numbers.
"""

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from madvae_tf.data.labelled import is_labelled, labelled
from madvae_tf.evaluation.threats import threat_of
from madvae_tf.models.external_classifier import ExternalClassifier
from madvae_tf.utils.budgets import UsualBudget, budget_text
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import as_float, shape_of
from madvae_tf.utils.labels import above_chance, check_classes, skipped

# Images that show whether a classifier gives logits or probabilities.
PROBES = 32
_PRECISIONS = ("auto", "float32", "mixed_bfloat16")
# A classifier that is no farther on the way from chance to 1 (0.5 of ten classes) on the user's own
# images was given something else than it expects.
_SUSPICIOUS = 4 / 9
# Training images per class below which there is little to learn from.
_FEW_PER_CLASS = 10

Data = tuple[np.ndarray, np.ndarray]


def defaults_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Option -> its default."""
    found = inspect.signature(function).parameters.values()
    return {option.name: option.default for option in found if option.default is not option.empty}


def check_precision(precision: str) -> None:
    """Raises `UserError` for an unknown precision."""
    if precision not in _PRECISIONS:
        raise UserError(
            f"Invalid precision: received {precision!r}, expected one of {', '.join(_PRECISIONS)}."
        )


def chosen_budget(epsilon: float | None, usual: UsualBudget) -> tuple[float, str]:
    """The L-infinity budget: what is given, with a warning where it is unusual for the images; or
    the usual one, with a sentence that says so. Raises `UserError` where it is no number above 0
    and up to 1.
    """
    if epsilon is None:
        text = budget_text(usual.epsilon)
        return usual.epsilon, f"epsilon is {text} in L-infinity, which is usual for {usual.why}."
    chosen = threat_of(("linf", epsilon)).epsilon
    if sentence := usual.warning(chosen):
        logging.warning("epsilon: %s", sentence)
    return chosen, ""


def check_data(train: Data, held: Data, classes: int) -> None:
    """Raises `UserError` for a label that the classifier has no output for; warns of classes
    without a training image, and of few of them.
    """
    for (_, labels), what in ((train, "labels"), (held, "validation labels")):
        check_classes(labels, classes, what)
    labels = train[1]
    if sentence := skipped(labels, classes):
        logging.warning("The training images: %s", sentence)
    if len(labels) < _FEW_PER_CLASS * classes:
        logging.warning(
            "%d training images of %d classes are few to learn from; expected at least %d for"
            " each class.",
            len(labels),
            classes,
            _FEW_PER_CLASS,
        )


def check_count(images: int) -> None:
    """Raises `UserError` where so few images to learn from are no batch to normalise by."""
    if images < 2:
        raise UserError(
            f"Too few images: received {images} to learn from, expected at least 2, and far more"
            " for a purifier that is of use; give more images, or a smaller validation_split."
        )


def held_out(x: np.ndarray, y: np.ndarray, split: float, data: Any) -> tuple[Data, Data]:
    """What is learnt from and what is validated on: `data`, or the last `split` of the images.
    Raises `UserError`.
    """
    if data is not None:
        pair = isinstance(data, tuple | list)
        if not (len(data) == 2 if pair else is_labelled(data)):
            raise UserError(
                "Invalid validation_data: expected a pair (images, labels), or a data set that has"
                " both."
            )
        images, labels = data if pair else (data, None)
        held = labelled(images, labels, "validation images", shape_of(x))
        return (x, y), (held.images, held.labels)
    held = math.ceil(split * len(x)) if isinstance(split, int | float) and 0 < split < 1 else 0
    if not 0 < held < len(x):
        raise UserError(
            f"Invalid validation_split: received {split!r} of {len(x)} images, expected a share"
            " between 0 and 1 that leaves images on both sides; or pass validation_data."
        )
    if len(x) > 2 and y[0] != y[-1] and (np.diff(y) >= 0).all():
        logging.warning(
            "The images are in the order of their classes, and the last ones are held out for"
            " validation, which are of few classes: shuffle them, or pass validation_data."
        )
    return (x[:-held], y[:-held]), (x[-held:], y[-held:])


def scratch_folder(scratch: str | Path | None) -> Path | None:
    """The folder, or None for the system's. Raises `UserError` where it is not there."""
    folder = None if scratch is None else Path(scratch).expanduser()
    if folder is not None and not folder.is_dir():
        raise UserError(
            f"Invalid scratch: received {str(scratch)!r}, expected a folder that exists."
        )
    return folder


def clean_accuracy(
    classifier: ExternalClassifier, x: np.ndarray, y: np.ndarray, batch_size: int
) -> float:
    """The classifier's accuracy without an attack; a warning where it is low."""
    right = 0
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        right += int((np.asarray(classifier(as_float(x[rows]))).argmax(axis=1) == y[rows]).sum())
    accuracy = right / len(x)
    if accuracy < above_chance(classifier.num_classes, _SUSPICIOUS):
        logging.warning(
            "The classifier is right on %.1f%% of the clean validation images only: does it expect"
            " float32 images in [0, 1] and these labels? A purifier cannot do better than its"
            " classifier.",
            100 * accuracy,
        )
    return accuracy
