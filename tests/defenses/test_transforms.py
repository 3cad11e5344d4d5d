"""Binarisation and blur: hand values, SciPy's filter, and what their folders hold."""

import io
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from madvae_tf.defenses.transforms import (
    Binarization,
    BitDepth,
    Blur,
    Jpeg,
    binarize,
    blur,
    gaussian_kernel,
    jpeg,
    reduce_bits,
)
from madvae_tf.utils.errors import UserError


def random_images(n=3):
    return np.random.default_rng(0).random((n, 28, 28, 1), dtype=np.float32)


def test_a_pixel_above_the_threshold_is_white():
    values = tf.constant([0.0, 0.3, 0.49999, 0.5, 0.50001, 1.0])
    assert binarize(values, 0.5).numpy().tolist() == [0, 0, 0, 0, 1, 1]
    assert binarize(values, 0.25).numpy().tolist() == [0, 1, 1, 1, 1, 1]


def test_the_gradient_passes_through_the_binarisation():
    values, weights = tf.constant([0.2, 0.7]), tf.constant([3.0, -4.0])
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = tf.reduce_sum(weights * binarize(values, 0.5))
    assert float(loss) == -4.0
    np.testing.assert_array_equal(tape.gradient(loss, values), weights)


def test_three_bits_are_eight_values_by_hand():
    sevenths = np.arange(8) / 7
    values = np.linspace(0, 1, 1001, dtype=np.float32)
    nearest = sevenths[np.abs(values[:, None] - sevenths).argmin(axis=1)]
    np.testing.assert_allclose(reduce_bits(tf.constant(values), 3), nearest, atol=1e-6)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
@pytest.mark.parametrize("quality", [10, 75])
def test_jpeg_is_what_a_file_of_pillow_holds(channels, mode, quality):
    """Two decoders may differ by a rounding of a value."""
    smooth = np.indices((16, 24)).sum(axis=0)[..., None] * np.ones(channels) / 40
    noisy = smooth * np.random.default_rng(0).random((16, 24, channels))
    images = (np.stack([smooth, noisy]) * 255).round().astype(np.uint8)
    expected = []
    for image in images:
        file = io.BytesIO()
        picture = Image.fromarray(image if channels == 3 else image[..., 0], mode)
        picture.save(file, "JPEG", quality=quality)
        expected.append(np.asarray(Image.open(file)).reshape(image.shape))
    found = jpeg(tf.constant(images / 255, tf.float32), quality).numpy() * 255
    assert np.abs(found - np.stack(expected)).max() <= 2
    assert np.abs(found - images).max() > 2


@pytest.mark.parametrize("step", [lambda x: reduce_bits(x, 2), lambda x: jpeg(x, 50)])
def test_a_step_has_the_gradient_of_the_identity(step):
    images = tf.constant(random_images(2)[:, :8, :8])
    weights = tf.constant(random_images(2)[:, :8, 8:16])
    with tf.GradientTape() as tape:
        tape.watch(images)
        loss = tf.reduce_sum(weights * step(images))
    np.testing.assert_array_equal(tape.gradient(loss, images), weights)


def test_the_kernel_by_hand():
    e1, e4 = np.exp(-1 / (2 * 0.25)), np.exp(-4 / (2 * 0.25))
    weights = np.array([e4, e1, 1, e1, e4])
    np.testing.assert_allclose(gaussian_kernel(0.5), weights / weights.sum(), rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.3, 7.0])
def test_the_blur_is_scipys(sigma):
    images = random_images()
    expected = ndimage.gaussian_filter(
        images.astype(np.float64), (0, sigma, sigma, 0), mode="reflect", truncate=4.0
    )
    np.testing.assert_allclose(blur(tf.constant(images), sigma), expected, atol=2e-6)


def test_channels_are_blurred_alone():
    images = np.random.default_rng(0).random((2, 32, 32, 3), dtype=np.float32)
    expected = ndimage.gaussian_filter(
        images.astype(np.float64), (0, 1.5, 1.5, 0), mode="reflect", truncate=4.0
    )
    np.testing.assert_allclose(blur(tf.constant(images), 1.5), expected, atol=2e-6)


def test_a_white_image_stays_white_and_in_range():
    white = blur(tf.ones((1, 28, 28, 1)), 1.7).numpy()
    np.testing.assert_allclose(white, 1.0, atol=1e-6)
    assert white.max() <= 1.0


@pytest.mark.parametrize(
    ("trained", "other", "changed"),
    [
        (Binarization(threshold=0.8), Binarization(), lambda x: (x > 0.8).astype(np.float32)),
        (
            Blur(sigma=2.0),
            Blur(),
            lambda x: ndimage.gaussian_filter(x, (0, 2, 2, 0), mode="reflect"),
        ),
        (BitDepth(bits=1), BitDepth(), lambda x: (x > 0.5).astype(np.float32)),
        (Jpeg(quality=5), Jpeg(), lambda x: jpeg(tf.constant(x), 5).numpy()),
    ],
    ids=["binarization", "blur", "bit_depth", "jpeg"],
)
def test_a_folder_brings_its_own_parameters(tmp_path, inputs, trained, other, changed):
    given = inputs(tmp_path / "scratch")
    trained.train(given, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["parameters.json"]
    assert json.loads((tmp_path / "parameters.json").read_text()) == trained.parameters
    defended = other.load(tmp_path, given.classifier)
    images = random_images()
    np.testing.assert_allclose(defended.purify(images), changed(images), atol=2e-6)
    expected = given.classifier(changed(images))
    np.testing.assert_allclose(defended.logits(images), expected, rtol=1e-4, atol=1e-5)
    assert defended.detect is None and defended.encode is None


@pytest.mark.parametrize(
    "make", [lambda: Binarization(threshold=1.5), lambda: Blur(sigma=0.0), lambda: Blur(sigma=8.0)]
)
def test_parameters_out_of_range_are_refused(make):
    with pytest.raises(UserError, match="expected a number"):
        make()
