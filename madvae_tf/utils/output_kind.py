"""What a classifier answers: logits, or probabilities, or something that could be either."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from madvae_tf.utils.errors import UserError

_SUM_TOLERANCE = 1e-3
# How far sums may lie from 1 in rows that are rounded or scaled probabilities, and from each other
# in rows of another scale.
_NEAR, _SPREAD = 0.05, 0.02
# From so many rows on, sums that are all alike are no accident.
_ROWS = 4


@dataclasses.dataclass(frozen=True)
class Reading:
    """How answers are read.

    Attributes:
        outputs: "logits" or "probabilities".
        doubt: one sentence for people where the other reading is possible, else "".
    """

    outputs: str
    doubt: str = ""


def one_output(values: Any) -> Any:
    """The one array in what a classifier gave: itself, or the only entry of a dict (as signatures
    give) or of a list.

    Raises:
        UserError: there are several, or none.
    """
    if not isinstance(values, Mapping | list | tuple):
        return values
    found = list(values.values()) if isinstance(values, Mapping) else list(values)
    if len(found) != 1:
        named = f" ({', '.join(map(str, values))})" if isinstance(values, Mapping) else ""
        raise UserError(
            f"Invalid classifier: it gives {len(found)} outputs{named}, expected one, logits or"
            " probabilities (batch, classes); give a function that picks it, like lambda images:"
            " model(images, training=False)[0], or keras.Model(model.input, model.outputs[0])."
        )
    return one_output(found[0])


def are_probabilities(values: np.ndarray) -> bool:
    """Whether every row is nowhere negative and sums to one; a linear layer's logits hardly ever
    are.

    Args:
        values: (n, classes), finite; n is at least 1.
    """
    return bool(
        (values >= 0).all()
        and np.abs(values.sum(axis=1, dtype=np.float64) - 1).max() <= _SUM_TOLERANCE
    )


def read_outputs(values: np.ndarray) -> Reading:
    """How a classifier's answers are to be read.

    Rows that are nowhere negative and have nearly one sum are probabilities that were rounded or
    scaled: read as logits they hide the gradient where the classifier is sure. Their logarithm
    orders classes as they do. Rows that lie in [0, 1] and have many sums may be logits; such as a
    sigmoid's hide it, too.

    Args:
        values: (n, classes), or (n, 1) of a single sigmoid; finite; n is at least 1.
    """
    if values.shape[1] == 1:
        return _read_single(values)
    if are_probabilities(values):
        return Reading("probabilities")
    low, high = float(values.min()), float(values.max())
    sums = values.sum(axis=1, dtype=np.float64)
    seen = (
        f"the answers lie in [{low:.4g}, {high:.4g}], and their rows sum to {sums.min():.4g} to"
        f" {sums.max():.4g}"
    )
    alike = len(sums) >= _ROWS and float(np.ptp(sums)) <= _SPREAD * float(sums.mean())
    if low >= 0 and high > low and (np.abs(sums - 1).max() <= _NEAR or alike):
        return Reading(
            "probabilities",
            f"{seen}: read as probabilities, and attacked is their logarithm. Read as logits they"
            " would look robust, since their gradient vanishes where the classifier is sure; if"
            " they are logits, say so: outputs='logits' of madvae_tf.fit or of"
            " madvae_tf.models.external_classifier.adapt(model, images, 'logits').",
        )
    if low >= 0 and high <= 1 + _SUM_TOLERANCE and high > low:
        return Reading(
            "logits",
            f"{seen}: read as logits. If they are probabilities, such as a sigmoid's, their"
            " gradient vanishes where the classifier is sure, and it looks robust: give the"
            " logits, or the logarithm of the probabilities.",
        )
    return Reading("logits")


def _read_single(values: np.ndarray) -> Reading:
    """One number per image, (n, 1): the probability of class 1 where it lies in [0, 1], else its
    logit. There is a doubt where all of them name one class: logits that are all positive do.
    """
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 1:
        return Reading("logits")
    if low <= 0.5 < high:
        return Reading("probabilities")
    return Reading(
        "probabilities",
        f"the single answers lie in [{low:.4g}, {high:.4g}]: read as the probability of class 1,"
        " which names one class for all of these images. If they are logits, say so:"
        " outputs='logits' of madvae_tf.fit or of"
        " madvae_tf.models.external_classifier.adapt(model, images, 'logits').",
    )
