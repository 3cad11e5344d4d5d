"""Strips of images that are not square."""

import numpy as np
import pytest

from madvae_tf.report.drawing import WIDTH
from madvae_tf.report.strips import image_grid


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 56, 1), (31, 37, 3)])
def test_tiles_have_the_proportions_of_the_images(shape):
    images = np.random.default_rng(0).random((3, *shape))
    labels = np.array([0, 1, 2])
    strips = [("FGSM", images, labels), ("PGD", images, labels[::-1])]
    figure = image_grid(strips, labels, 3, ("a", "b", "c"))
    (axes,) = figure.axes
    assert len(axes.images) == 6 and figure.get_size_inches()[0] == pytest.approx(WIDTH)
    boxes = np.array([image.get_extent() for image in axes.images])
    across, tall = boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]
    np.testing.assert_allclose(tall / across, shape[0] / shape[1])
    # Three across with the gaps between fill the page; none leaves the figure or meets another.
    assert across[0] == pytest.approx((WIDTH - 4 * 0.035) / 3)
    assert boxes.min() >= 0 and boxes[:, 3].max() < figure.get_size_inches()[1]
    assert boxes[0, 2] > boxes[3, 3] and boxes[0, 1] < boxes[1, 0]
