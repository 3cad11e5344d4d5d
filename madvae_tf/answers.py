"""What a classifier answers: logits, or probabilities."""

import numpy as np

_SUM_TOLERANCE = 1e-3


def are_probabilities(values: np.ndarray) -> bool:
    """Whether every row is nowhere negative and sums to one; a linear layer's logits hardly ever are.

    Args:
        values: (n, classes), finite; n is at least 1.
    """
    return bool(
        (values >= 0).all() and np.abs(values.sum(axis=1, dtype=np.float64) - 1).max() <= _SUM_TOLERANCE
    )
