"""The encoder "vgg": its layers, its gradient, and that saving, folding, exporting and the Keras
layer give the same purifier.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.config import RobustConfig
from madvae_tf.defenses.files import load_keras, save_float32
from madvae_tf.export.saved_model import export_purifier
from madvae_tf.models.bn_folding import fold_batch_norm
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.encoders import ENCODERS
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError

X = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)


@pytest.fixture(scope="module")
def purifier():
    keras.utils.set_random_seed(4)
    return DefenseVAE(7, squash_scale=9.0, squash_center=0.4, encoder="vgg")


def test_the_layers(purifier):
    kernels = [layer.kernel.shape for layer in purifier.encoder.layers if hasattr(layer, "kernel")]
    pairs = [(1, 32), (32, 32), (32, 64), (64, 64), (64, 128)]
    # Two poolings: 28, 14, 7.
    assert kernels == [(3, 3, *pair) for pair in pairs] + [(7 * 7 * 128, 256)]
    assert purifier.encoder.output_shape == (None, 256)
    assert DefenseVAE(3, image_shape=(32, 32, 3), encoder="vgg")(
        tf.zeros((1, 32, 32, 3))
    ).shape == (
        1,
        32,
        32,
        3,
    )


def test_the_code_by_hand_and_the_gradient(purifier):
    """Squash, convolutions, pooling and heads written out in NumPy and SciPy's correlation."""
    from scipy.signal import correlate

    weights = [
        np.asarray(layer.kernel) for layer in purifier.encoder.layers if hasattr(layer, "kernel")
    ]
    relu = lambda value: np.maximum(value, 0)  # noqa: E731
    image = 1 / (1 + np.exp(-9.0 * (X[0].astype(np.float64) - 0.4)))
    for number, kernel in enumerate(weights[:-1]):
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
        maps = [
            correlate(padded, kernel[..., k], mode="valid")[..., 0] for k in range(kernel.shape[-1])
        ]
        image = relu(np.stack(maps, -1))
        if number in (1, 3):
            side, channels = len(image) // 2, image.shape[-1]
            image = image.reshape(side, 2, side, 2, channels).max((1, 3))
    features = relu(image.reshape(-1) @ weights[-1])
    expected = features @ np.asarray(purifier.mean_head.kernel)
    x = tf.constant(X[:1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        mean, _ = purifier.encode(x)
        value = mean[0, 0]
    np.testing.assert_allclose(mean[0], expected, rtol=1e-3, atol=1e-5)
    gradient = tape.gradient(value, x).numpy()
    # Against a central difference along it.
    direction = gradient / np.linalg.norm(gradient)
    ahead, behind = (purifier.encode(X[:1] + h * direction)[0][0, 0] for h in (1e-3, -1e-3))
    assert float(ahead - behind) / 2e-3 == pytest.approx(np.linalg.norm(gradient), rel=0.05)


def test_it_is_the_same_saved_folded_exported_and_as_a_layer(purifier, tmp_path):
    classifier = Table6Classifier(dropout=0.0)
    expected = purifier.purify(X).numpy()
    save_float32(purifier, tmp_path / "purifier.keras")
    loaded = load_keras(tmp_path / "purifier.keras")
    np.testing.assert_array_equal(loaded.purify(X), expected)
    np.testing.assert_allclose(fold_batch_norm(loaded).purify(X), expected, atol=1e-5)
    np.testing.assert_allclose(madvae_tf.Purifier(loaded)(X), expected, atol=1e-6)
    layered = keras.Sequential([keras.Input((28, 28, 1)), madvae_tf.Purifier(loaded)])
    layered.save(tmp_path / "layered.keras")
    np.testing.assert_allclose(load_keras(tmp_path / "layered.keras")(X), expected, atol=1e-6)
    export_purifier(tmp_path / "export", loaded, classifier)
    served = tf.saved_model.load(str(tmp_path / "export"))
    logits = served.signatures["classify"](tf.constant(X))
    found = next(value for value in logits.values() if value.shape == (5, 10))
    wanted = classifier(expected).numpy()
    assert np.allclose(found, wanted, atol=1e-4) or np.allclose(
        found, tf.nn.softmax(wanted), atol=1e-5
    )


def test_the_paper_s_purifier_does_not_say_which_encoder_it_has():
    """So that files and keys of what was made with Table 5 stay what they are."""
    assert "encoder" not in DefenseVAE(2).get_config()
    assert DefenseVAE(2, encoder="vgg").get_config()["encoder"] == "vgg"


def test_names():
    for name in ENCODERS:
        assert RobustConfig(encoder=name).encoder == name
    with pytest.raises(UserError, match="Unknown encoder 'vg'.*vgg"):
        DefenseVAE(2, encoder="vg")
    with pytest.raises(
        UserError, match="Invalid robust.encoder: received 'vg', expected table5 or vgg"
    ):
        RobustConfig(encoder="vg")
