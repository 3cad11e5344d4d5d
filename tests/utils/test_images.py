"""The range of pixels and the shapes of labels, the same wherever they are taken."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import FGSM, DefendedModel, run_attack
from madvae_tf.evaluation import Suite, Trial, evaluate
from madvae_tf.models.pixels import as_pixels
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import (
    binary_share,
    check_any_images,
    check_images,
    nearly_binary,
)

ROUNDED = (-3e-8, 1 + 1e-7, -9e-7, 1 + 9e-7)
OUTSIDE = (-2e-6, 1 + 2e-6, 255.0, -1.0)
TAKERS = {
    "check_images": check_images,
    "check_any_images": check_any_images,
    "layer": lambda images: as_pixels(tf.constant(images, tf.float32), "a test").numpy(),
}


def with_pixel(value, dtype=np.float64):
    images = np.full((2, 28, 28, 1), 0.5, dtype)
    images[1, 3, 4] = value
    return images


@pytest.mark.parametrize("take", TAKERS)
def test_a_rounding_outside_the_range_is_clipped_and_what_is_farther_refused(take):
    for value in ROUNDED:
        given = with_pixel(value)
        got = TAKERS[take](given)
        np.testing.assert_array_equal(got, np.clip(given, 0, 1).astype(got.dtype))
        assert given[1, 3, 4, 0] == value
    for value in OUTSIDE:
        with pytest.raises(UserError, match=r"expected \[0, 1\]") as caught:
            TAKERS[take](with_pixel(value))
        # What is received is never said to be what is expected.
        assert "values in [0.5, 1]," not in str(caught.value) and "values in [0, " not in str(
            caught.value
        )


def test_attacks_and_evaluate_take_a_rounding():
    target = DefendedModel(lambda x: tf.reshape(x, (-1, 784))[:, :10])
    for value in ROUNDED:
        result = run_attack(FGSM(epsilon=0.1), target, with_pixel(value), np.zeros(2, int), (0, 0))
        assert result.x_adv.min() >= 0 and result.x_adv.max() <= 1
        suite = Suite("own", (Trial("fgsm", FGSM(epsilon=0.1)),))
        assert (
            len(evaluate(target.logits, with_pixel(value), [0, 0], [suite], progress=False).clean)
            == 2
        )


def test_shapes():
    for shape in ((3, 8, 8, 1), (3, 31, 37, 3), (3, 256, 9, 1), (3, 28, 56)):
        grey = shape if len(shape) == 4 else (*shape, 1)
        assert check_any_images(np.zeros(shape, np.uint8)).shape == grey
    for shape in ((3, 7, 8, 1), (3, 8, 257, 1), (28, 28), (28, 28, 1), (32, 32, 3), (3, 9, 9, 4)):
        with pytest.raises(UserError, match="expected .*from 8 to 256 .*a single image is images"):
            check_any_images(np.zeros(shape, np.uint8))
    for shape in ((3, 1, 28, 28), (3, 3, 31, 37)):
        with pytest.raises(UserError, match="channels come last.*preprocessing='channels_first'"):
            check_any_images(np.zeros(shape, np.uint8))


def test_nearly_binary_images():
    """Shares of pixels by hand: 90 of 100 near 0 or 1, some of either; 80; all of them dark."""
    pixels = np.full((4, 10, 10, 1), 0.5, np.float32)
    pixels[:, :8], pixels[:, 8] = 0.08, 0.93
    assert binary_share(pixels) == pytest.approx(0.9) and nearly_binary(pixels)
    # The same as bytes, of which 25 is within 0.1 of 0 and 26 is not.
    assert nearly_binary(np.round(pixels * 255).astype(np.uint8))
    pixels[:, 8] = 0.89
    assert binary_share(pixels) == 0.0 and not nearly_binary(pixels)
    pixels[:, 8], pixels[:, :1] = 1.0, 0.5
    assert binary_share(pixels) == pytest.approx(0.8) and not nearly_binary(pixels)
    assert not nearly_binary(np.zeros((2, 9, 8, 3), np.uint8))
