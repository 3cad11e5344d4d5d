"""Budgets by what the images are, on histograms made by hand."""

import numpy as np
import pytest

from madvae_tf.utils.budgets import budget_text, usual_budget


def images(share, channels=1, dtype=np.float32):
    """20 images of which `share` of the values are 0, 0.05, 0.95 or 1, the rest 0.5."""
    n = 20 * 28 * 28 * channels
    values = np.full(n, 0.5)
    extreme = round(share * n)
    values[:extreme] = np.resize([0, 0.05, 0.95, 1], extreme)
    values = np.random.default_rng(0).permutation(values).reshape(20, 28, 28, channels)
    return np.round(values * 255).astype(np.uint8) if dtype == np.uint8 else values.astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.uint8])
@pytest.mark.parametrize(
    ("share", "channels", "epsilon"),
    [(0.9, 1, 0.3), (0.6, 1, 0.1), (0.9, 3, 8 / 255), (0.1, 3, 8 / 255)],
)
def test_the_histogram_decides(dtype, share, channels, epsilon):
    found = usual_budget(images(share, channels, dtype))
    assert found.epsilon == epsilon
    assert ("colour" in found.why) == (channels == 3)
    assert channels == 3 or f"{share:.2f} of whose values" in found.why


def test_unusual_budgets_are_said():
    colour = usual_budget(images(0.1, 3))
    assert colour.warning(0.3) == (
        "an L-infinity budget of 0.3 is unusually large for these images: 8/255 is usual for"
        " colour images."
    )
    assert [bool(colour.warning(k / 255)) for k in (0.4, 0.5, 1, 8, 16, 17)] == [1, 0, 0, 0, 0, 1]
    digits = usual_budget(images(0.9))
    assert "unusually small" in digits.warning(4 / 255) and not digits.warning(0.3)


def test_budgets_in_words():
    assert [budget_text(value) for value in (0.3, 8 / 255, 0.1, 1.0, 1 / 255)] == [
        *("0.3", "8/255", "0.1", "1", "1/255"),
    ]
