"""Gradients of one model computed in two ways, compared image by image."""

import numpy as np


def off_by_image(got, expected):
    """How far each image's gradient is off, in parts of the largest of all, (n,).

    A ReLU whose input is 0 up to rounding may be on in one and off in the other, which moves the
    whole gradient of that image; what is wrong moves that of all. So tests hold the median tightly
    and the largest loosely.
    """
    expected = np.asarray(expected)
    return np.abs(np.asarray(got) - expected).max(axis=(1, 2, 3)) / np.abs(expected).max()
