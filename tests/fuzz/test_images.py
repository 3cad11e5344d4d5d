"""Images of every kind given to a saved SavedModel's signatures and to `purify`: an answer, or one
clear error.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

pytest.importorskip("hypothesis")
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from madvae_tf.api.fitted import FittedDefense
from madvae_tf.export.saved_model import export_purifier
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.external_classifier import ExternalClassifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError

SHAPES = st.sampled_from(
    [
        (0, 28, 28, 1),
        (2, 28, 28, 1),
        (2, 28, 28),
        (28, 28),
        (1, 27, 28, 1),
        (1, 28, 28, 3),
        (),
        (3,),
    ]
)
DTYPES = st.sampled_from(
    ["float32", "float64", "float16", "uint8", "int32", "bool", "complex64", "object", "U3"]
)


@pytest.fixture(scope="module")
def models():
    keras.utils.set_random_seed(0)
    return DefenseVAE(4), Table6Classifier()


@pytest.fixture(scope="module")
def defense(models):
    purifier, classifier = models
    return FittedDefense(purifier, ExternalClassifier(classifier, "logits"), {})


@pytest.fixture(scope="module")
def signatures(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    export_purifier(folder, *models)
    return tf.saved_model.load(folder)


@given(st.data(), SHAPES, DTYPES)
def test_purify(defense, data, shape, dtype):
    fill = {
        "object": st.sampled_from([None, "a", 1]),
        "U3": st.sampled_from(["", "a", "0.5"]),
        "uint8": st.integers(0, 255),
        "bool": st.booleans(),
        "int32": st.integers(-1, 300),
    }.get(dtype, st.sampled_from([0.0, 0.5, 1.0, 1.5, -0.1, float("nan"), float("inf"), 255.0]))
    values = data.draw(arrays.arrays(dtype, shape, elements=fill, fill=fill))
    try:
        purified = defense.purify(values)
    except UserError as error:
        assert "\n" not in str(error) and "Invalid images" in str(error)
    else:
        assert purified.shape == shape and purified.dtype == np.float32
        assert np.isfinite(purified).all() and purified.min() >= 0 and purified.max() <= 1


@given(
    st.data(),
    SHAPES,
    DTYPES,
    st.sampled_from(["purify", "classify", "purify_uint8", "classify_uint8"]),
)
def test_signatures(signatures, data, shape, dtype, name):
    """A SavedModel knows types, shapes and the range of floats, and says so; NaN stays NaN."""
    value = data.draw(st.sampled_from([0, 1, 255]))
    values = np.full(shape, value, "float32" if dtype in ("object", "U3") else dtype)
    taken = "uint8" if name.endswith("uint8") else "float32"
    in_range = taken == "uint8" or value <= 1 or not values.size
    fits = values.dtype == taken and shape[1:] == (28, 28, 1) and in_range
    try:
        (result,) = signatures.signatures[name](images=tf.constant(values)).values()
    except (TypeError, ValueError, tf.errors.InvalidArgumentError):
        assert not fits
    else:
        assert fits and len(result) == len(values) and np.isfinite(result).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_bad_pixel_does_not_spread_to_other_images(signatures, bad):
    images = np.full((3, 28, 28, 1), 0.5, np.float32)
    clean = signatures.signatures["purify"](images=tf.constant(images))["purified"].numpy()
    images[1, 5, 5] = bad
    purified = signatures.signatures["purify"](images=tf.constant(images))["purified"].numpy()
    np.testing.assert_allclose(purified[[0, 2]], clean[[0, 2]], atol=1e-6)


def test_many_images_go_through_in_batches(defense, monkeypatch):
    """1e5 images are never one batch: memory is bounded by the batch."""
    sizes = []
    purify = lambda images: sizes.append(len(images)) or images  # noqa: E731
    monkeypatch.setattr(defense, "_purify", purify)
    purified = defense.purify(np.zeros((100_000, 28, 28), np.uint8), batch_size=5000)
    assert purified.shape == (100_000, 28, 28) and sum(sizes) == 100_000 and max(sizes) == 5000
