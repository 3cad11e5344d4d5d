"""The squash by hand values and differences, and a purifier with one: what it encodes, saves and
loads.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.copies import in_precision
from madvae_tf.models.squash import Squash
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from tests import processes


def sigmoid(values):
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def pictures(n=3):
    return np.random.default_rng(0).random((n, 28, 28, 1), np.float32)


def test_the_formula_by_hand():
    # sigmoid(-5), (-2), (0), (2) and (5).
    got = Squash()(tf.constant([0.0, 0.3, 0.5, 0.7, 1.0]))
    np.testing.assert_allclose(
        got, [0.0066928509, 0.1192029220, 0.5, 0.8807970780, 0.9933071491], rtol=2e-6
    )
    np.testing.assert_allclose(
        Squash(2.0, 0.25)(tf.constant([[1.0]])), [[0.8175744762]], rtol=1e-6
    )  # sigmoid(1.5)


@pytest.mark.parametrize("scale", [0.01, 0.5, 10.0, 200.0])
def test_k_starts_where_it_is_told_and_stays_positive(scale):
    squash = Squash(scale)
    assert float(squash.scale) == pytest.approx(scale, rel=1e-4)
    squash.raw_scale.assign(-60.0)
    assert 0 < float(squash.scale) < 1e-20


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(UserError, match="Invalid scale: received"):
        Squash(scale)


@pytest.mark.parametrize("scale", [10.0, 38.0, 80.0, 1000.0])
def test_an_attacker_gets_through_it_at_black_and_at_white(scale):
    """In float32 1 - s is 0 at white from k = 34 on; the slope is not."""
    squash, x = Squash(scale), np.array([0.0, 0.1, 0.5, 0.9, 1.0], np.float32)
    given = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(squash(given))
    gradient = tape.gradient(total, given).numpy()
    u = float(squash.scale) * (x.astype(np.float64) - 0.5)
    slope = float(squash.scale) * sigmoid(u) * sigmoid(-u)
    assert np.isfinite(gradient).all() and np.isfinite(squash(given)).all()
    if scale <= 80:
        assert gradient.min() > 0
        # exp multiplies the rounding of its argument by it.
        np.testing.assert_allclose(gradient, slope, rtol=3e-5)


def test_gradients_to_image_and_scalars_by_hand():
    squash, x = Squash(4.0, 0.4), np.array([0.0, 0.35, 0.9])
    given = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        total = tf.reduce_sum(squash(given) * [1.0, 2.0, -3.0])
    to_x, to_raw, to_center = tape.gradient(
        total, [given, squash.raw_scale.value, squash.center.value]
    )
    s = sigmoid(4 * (x - 0.4))
    slope = np.array([1, 2, -3]) * s * (1 - s)
    np.testing.assert_allclose(to_x, 4 * slope, rtol=1e-5)
    np.testing.assert_allclose(to_center, -4 * slope.sum(), rtol=1e-5)
    # k = log(1 + exp(r)), so dk/dr = 1 - exp(-k).
    np.testing.assert_allclose(to_raw, ((x - 0.4) * slope).sum() * (1 - np.exp(-4)), rtol=1e-5)
    assert {weight.path.split("/")[-1] for weight in squash.trainable_weights} == {
        "raw_scale",
        "center",
    }


def test_without_a_squash_nothing_changes():
    model = DefenseVAE(4)
    assert model.squash is None
    assert not any("squash" in name for name in model.get_config())
    assert len(DefenseVAE(4, squash_scale=10.0).weights) == len(model.weights) + 2


def test_a_purifier_encodes_the_squashed_image():
    purifier, plain = DefenseVAE(4, squash_scale=6.0, squash_center=0.3), DefenseVAE(4)
    own = [weight for weight in purifier.weights if "squash" not in weight.path]
    assert len(own) == len(plain.weights)
    for weight, value in zip(plain.weights, own, strict=True):
        weight.assign(value)
    images = pictures()
    squashed = sigmoid(6 * (images - 0.3)).astype(np.float32)
    for got, want in zip(purifier.encode(images), plain.encode(squashed), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5)
    assert np.abs(purifier.encode(images)[0] - plain.encode(images)[0]).max() > 1e-3


def test_black_and_white_pixels_have_a_gradient_in_bfloat16():
    purifier = DefenseVAE(4, squash_scale=20.0, dtype="mixed_bfloat16")
    x = tf.constant((pictures() > 0.5).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(tf.square(purifier.encode(x)[0]))
    gradient = np.asarray(tape.gradient(total, x))
    for value in (0.0, 1.0):
        assert np.mean(gradient[x.numpy() == value] != 0) > 0.9


def test_a_file_is_read_in_another_process(tmp_path):
    keras.utils.set_random_seed(0)
    purifier = DefenseVAE(4, squash_scale=6.0, squash_center=0.3)
    purifier.squash.raw_scale.assign(7.5)
    purifier.squash.center.assign(0.45)
    purifier.save(tmp_path / "purifier.keras")
    np.save(tmp_path / "images.npy", pictures())
    code = (
        "import keras, numpy as np, madvae_tf.models.vae\n"
        "model = keras.saving.load_model('purifier.keras', compile=False)\n"
        "np.save('purified.npy', model(np.load('images.npy')))\n"
        "np.save('squash.npy', [float(model.squash.scale), float(model.squash.center.numpy())])\n"
    )
    process = processes.run(["-c", code], cwd=tmp_path)
    assert process.returncode == 0, process.stderr[-3000:]
    np.testing.assert_allclose(
        np.load(tmp_path / "squash.npy"), [np.log1p(np.exp(7.5)), 0.45], rtol=1e-6
    )
    np.testing.assert_allclose(np.load(tmp_path / "purified.npy"), purifier(pictures()), atol=1e-6)


def test_a_copy_in_another_precision_has_the_same_squash():
    purifier = DefenseVAE(4, squash_scale=6.0, dtype="mixed_bfloat16")
    purifier.squash.center.assign(0.45)
    copy = in_precision(purifier, "float32")
    assert float(copy.squash.scale) == float(purifier.squash.scale)
    assert float(copy.squash.center.numpy()) == pytest.approx(0.45)
