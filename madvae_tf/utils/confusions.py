"""Which classes are taken for which: the whole matrix of few classes, the most frequent confusions
of many.
"""

import numpy as np

# Up to so many classes a matrix is shown whole; of more, so many confusions.
WHOLE, MOST = 20, 20


def confusion_matrix(predicted: np.ndarray, label: np.ndarray, classes: int) -> np.ndarray:
    """int64 (classes, classes) counts, [predicted, true], as the paper's tables have them.

    Args:
        predicted, label: integers (n,) in [0, classes).
    """
    flat = np.bincount(np.asarray(predicted) * classes + np.asarray(label), minlength=classes**2)
    return flat.reshape(classes, classes)


def most_confused(counts: np.ndarray) -> list[tuple[int, int, int]]:
    """The `MOST` largest errors of a matrix: true class, predicted class, count; the largest first,
    of equal ones the lowest classes.
    """
    errors = counts - np.diag(np.diag(counts))
    predicted, true = np.nonzero(errors)
    size = errors[predicted, true]
    order = np.lexsort((predicted, true, -size))[:MOST]
    return [(int(true[i]), int(predicted[i]), int(size[i])) for i in order]
