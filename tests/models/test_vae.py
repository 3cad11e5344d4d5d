"""The purifier: Table 5 layer by layer, PyTorch's padding, determinism, saving, precision."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError

LATENT = 16


def randomized(model, seed=0):
    """`model` with weights that no initializer gives, so that nothing passes by being zero or one."""  # noqa: E501
    rng = np.random.default_rng(seed)
    values = []
    for weight in model.weights:
        noise = rng.standard_normal(weight.shape).astype(np.float32)
        scale = (2 / max(np.prod(weight.shape[:-1]), 1)) ** 0.5
        moving = "moving_variance" in weight.path
        values.append(
            1 + 0.1 * np.abs(noise)
            if moving
            else noise * scale
            if noise.ndim > 1
            else 0.1 * noise + 0.5
        )
    model.set_weights(values)
    return model


@pytest.fixture(scope="module")
def purifier():
    return randomized(DefenseVAE(LATENT))


def pictures(n, seed=0):
    return np.random.default_rng(seed).random((n, 28, 28, 1), dtype=np.float32)


def layer_shapes(sequential, x):
    """(class name, output shape without the batch) of every layer, by running them one after the
    other.
    """
    shapes = []
    for layer in sequential.layers:
        x = layer(x)
        shapes.append((type(layer).__name__, tuple(x.shape[1:])))
    return shapes


def test_every_layer_has_the_size_of_table_5(purifier):
    encoder = layer_shapes(purifier.encoder, tf.zeros((1, 28, 28, 1)))
    sizes = [shape for name, shape in encoder if name == "Conv2D"]
    # 28; (28 + 6 - 4) / 2 + 1 = 16; then halved.
    assert sizes == [(28, 28, 64), (16, 16, 64), (8, 8, 128), (4, 4, 256)]
    assert encoder[-1] == ("Flatten", (4096,))
    decoder = layer_shapes(purifier.decoder, tf.zeros((1, LATENT)))
    assert decoder[:2] == [("Dense", (4096,)), ("Reshape", (4, 4, 256))]
    blocks = [shape for name, shape in decoder if name in ("BatchNormalization", "Conv2DTranspose")]
    # Doubled twice; (16 - 1) 2 - 6 + 4 = 28; one channel at the end, without normalisation.
    assert blocks[:4] == [(8, 8, 128)] * 2 + [(16, 16, 64)] * 2
    assert blocks[5:] == [(28, 28, 64), (28, 28, 1)]
    order = ["Conv2D", "BatchNormalization", "ReLU"]
    assert [name for name, _ in encoder if name in order] == order * 4


def test_parameters_by_hand():
    def norm(channels):
        return 2 * channels

    encoder = (
        25 * 64
        + norm(64)
        + 16 * 64 * 64
        + norm(64)
        + 16 * 64 * 128
        + norm(128)
        + 16 * 128 * 256
        + norm(256)
    )
    heads = 2 * (4096 * 128 + 128)
    decoder = (
        128 * 4096
        + 4096
        + 16 * 256 * 128
        + norm(128)
        + 16 * 128 * 64
        + norm(64)
        + 16 * 64 * 64
        + norm(64)
    )
    decoder += 25 * 64 + 1
    model = DefenseVAE()
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert trainable == encoder + heads + decoder
    assert model.count_params() - trainable == 2 * (64 + 64 + 128 + 256 + 128 + 64 + 64)


def convolution(x, kernel, stride, padding):
    """PyTorch's Conv2d as loops over the kernel: x (b, h, w, c), kernel (k, k, c, d)."""
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    size = kernel.shape[0]
    out = (x.shape[1] - size) // stride + 1
    y = np.zeros((len(x), out, out, kernel.shape[3]))
    for i in range(size):
        for j in range(size):
            y += x[:, i : i + stride * out : stride, j : j + stride * out : stride] @ kernel[i, j]
    return y


def transposed(x, kernel, stride, padding):
    """PyTorch's ConvTranspose2d: every input pixel adds its kernel; then `padding` rows come off.
    Kernel (k, k, d, c).
    """
    n, size = x.shape[1], kernel.shape[0]
    whole = np.zeros((len(x), (n - 1) * stride + size, (n - 1) * stride + size, kernel.shape[2]))
    for i in range(size):
        for j in range(size):
            whole[:, i : i + stride * n : stride, j : j + stride * n : stride] += x @ kernel[i, j].T
    return whole[:, padding:-padding, padding:-padding]


def test_the_encoder_is_pytorchs_with_its_padding(purifier):
    x, layers = pictures(2), purifier.encoder.layers
    convolutions = [layer for layer in layers if isinstance(layer, keras.layers.Conv2D)]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    expected = x.astype(np.float64)
    # Kernel 5, stride 1, padding 2; kernel 4, stride 2, padding 3; kernel 4, stride 2, padding 1,
    # twice.
    for layer, norm, (stride, padding) in zip(
        convolutions, norms, [(1, 2), (2, 3), (2, 1), (2, 1)], strict=True
    ):
        y = convolution(expected, np.asarray(layer.kernel, np.float64), stride, padding)
        gamma, beta, mean, variance = (np.asarray(value) for value in norm.weights)
        expected = np.maximum((y - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    np.testing.assert_allclose(purifier.encoder(x), expected.reshape(2, -1), rtol=1e-4, atol=1e-3)


def test_the_decoder_is_pytorchs_with_its_padding(purifier):
    layers = purifier.decoder.layers
    ups = [layer for layer in layers if isinstance(layer, keras.layers.Conv2DTranspose)]
    norms = [layer for layer in layers if isinstance(layer, keras.layers.BatchNormalization)]
    z = np.random.default_rng(1).standard_normal((2, LATENT)).astype(np.float32)
    kernel, bias = (np.asarray(weight, np.float64) for weight in layers[0].weights)
    expected = np.maximum(z @ kernel + bias, 0).reshape(2, 4, 4, 256)
    for layer, norm, padding in zip(ups[:3], norms, [1, 1, 3], strict=True):
        y = transposed(expected, np.asarray(layer.kernel, np.float64), 2, padding)
        gamma, beta, mean, variance = (np.asarray(value) for value in norm.weights)
        expected = np.maximum((y - mean) / np.sqrt(variance + 1e-5) * gamma + beta, 0)
    expected = transposed(expected, np.asarray(ups[3].kernel, np.float64), 1, 2) + np.asarray(
        ups[3].bias
    )
    got = purifier.decode_logits(tf.constant(z)).numpy()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_purify_is_deterministic_decodes_the_mean_and_stays_in_the_box(purifier):
    x = pictures(3)
    first = purifier(x).numpy()
    assert first.shape == (3, 28, 28, 1) and first.dtype == np.float32
    assert first.min() >= 0 and first.max() <= 1 and first.std() > 0.01
    np.testing.assert_array_equal(first, purifier(x).numpy())
    np.testing.assert_array_equal(first, purifier.purify(x).numpy())
    mean, log_variance = purifier.encode(x)
    assert (
        mean.shape == log_variance.shape == (3, LATENT)
        and mean.dtype == log_variance.dtype == tf.float32
    )
    assert not np.allclose(mean, log_variance)
    np.testing.assert_array_equal(first, tf.sigmoid(purifier.decode_logits(mean)).numpy())


def test_save_and_load_gives_the_same_bits(purifier, tmp_path):
    purifier.save(tmp_path / "purifier.keras")
    loaded = keras.saving.load_model(tmp_path / "purifier.keras", compile=False, safe_mode=True)
    assert type(loaded) is DefenseVAE and loaded.latent_size == LATENT
    np.testing.assert_array_equal(loaded(pictures(3)).numpy(), purifier(pictures(3)).numpy())
    assert len(loaded.weights) == len(purifier.weights)
    for one, other in zip(loaded.get_weights(), purifier.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_model_is_whole_without_being_called(tmp_path):
    """Only its sub-models are called in training: saving must not depend on a call of the whole."""
    made = DefenseVAE(4)
    made.save(tmp_path / "purifier.keras")
    loaded = keras.saving.load_model(tmp_path / "purifier.keras", compile=False)
    np.testing.assert_array_equal(loaded(pictures(1)).numpy(), made(pictures(1)).numpy())


def test_weights_of_mixed_precision_move_to_float32(purifier):
    mixed = DefenseVAE(LATENT, dtype="mixed_bfloat16")
    assert all(weight.dtype == "float32" for weight in mixed.weights)
    mixed.set_weights(purifier.get_weights())
    moved = DefenseVAE(LATENT)
    moved.set_weights(mixed.get_weights())
    x = pictures(4)
    np.testing.assert_array_equal(moved(x).numpy(), purifier(x).numpy())
    rough = mixed(x)
    assert rough.dtype == tf.float32
    assert 0 < np.abs(rough.numpy() - purifier(x).numpy()).mean() < 0.02


def test_config_round_trip():
    for model in (DefenseVAE(7), DefenseVAE(5, dtype="mixed_bfloat16")):
        again = DefenseVAE.from_config(model.get_config())
        assert again.latent_size == model.latent_size
        assert again.dtype_policy.name == model.dtype_policy.name
        assert again.count_params() == model.count_params()


def test_the_linear_scale_is_the_deviation_of_either_sign():
    """The released code takes the head's output as the deviation; its sign does not change the
    distribution.
    """
    model = randomized(DefenseVAE(LATENT, latent_scale="linear"))
    x = pictures(4)
    deviation = model.log_variance_head(model.encoder(x)).numpy()
    assert deviation.min() < 0 < deviation.max()
    np.testing.assert_allclose(
        np.exp(model.encode(x)[1] / 2), np.abs(deviation), rtol=1e-3, atol=1e-4
    )


def test_an_initial_deviation_is_that_of_every_convolution():
    model = DefenseVAE(LATENT, initial_deviation=0.02)
    kernels = [w.numpy() for w in model.weights if w.path.endswith("kernel") and len(w.shape) == 4]
    assert len(kernels) == 8
    for kernel in kernels:
        assert 0.015 < kernel.std() < 0.025
    assert len({float(kernel.flat[0]) for kernel in kernels}) == 8


def test_an_unknown_latent_scale_is_refused():
    with pytest.raises(
        UserError, match="latent_scale: received 'raw', expected one of log_variance, linear"
    ):
        DefenseVAE(LATENT, latent_scale="raw")


@pytest.mark.parametrize("scale", ["log_variance", "linear"])
def test_a_saved_purifier_keeps_its_latent_scale(tmp_path, scale):
    model = randomized(DefenseVAE(LATENT, latent_scale=scale))
    model.save(tmp_path / "purifier.keras")
    loaded = keras.saving.load_model(tmp_path / "purifier.keras", compile=False)
    np.testing.assert_allclose(
        loaded.encode(pictures(2))[1], model.encode(pictures(2))[1], atol=1e-6
    )
