"""The two layers of our own against the stock layers that they stand for: outputs, gradients,
statistics.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.layers import BatchNormalization, Crop2D

# float32 sums in another order; bfloat16 keeps 8 bits of a number.
TOLERANCE = {"float32": 2e-5, "mixed_bfloat16": 2e-2}


def images(seed, shape=(6, 7, 9, 5), scale=3.0, shift=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape) + shift).astype(np.float32)


def close(ours, stock, tolerance):
    stock = np.asarray(stock, np.float32)
    np.testing.assert_allclose(
        np.asarray(ours, np.float32), stock, rtol=0, atol=tolerance * np.abs(stock).max()
    )


@pytest.mark.parametrize("pixels", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_crop_is_the_stock_crop_forward_and_back(pixels, dtype):
    layers = Crop2D(pixels, dtype=dtype), keras.layers.Cropping2D(pixels, dtype=dtype)
    x = tf.cast(images(0), dtype)
    weights = tf.cast(images(1, (6, 7 - 2 * pixels, 9 - 2 * pixels, 5)), dtype)
    results = []
    for layer in layers:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            value = tf.reduce_sum(y * weights)
        results.append((y, tape.gradient(value, x)))
    for ours, stock in zip(*results, strict=True):
        assert ours.dtype == stock.dtype == dtype
        np.testing.assert_array_equal(np.asarray(ours, np.float32), np.asarray(stock, np.float32))
    assert layers[0].compute_output_shape((None, 7, 9, 5)) == layers[1].compute_output_shape(
        (None, 7, 9, 5)
    )
    assert Crop2D.from_config(layers[0].get_config()).pixels == pixels


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_batch_normalization_is_the_stock_layer_over_several_steps(policy):
    ours, stock = (
        BatchNormalization(dtype=policy),
        keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, dtype=policy),
    )
    gamma, beta = images(2, (5,)), images(3, (5,))
    for layer in (ours, stock):
        layer.build((None, 7, 9, 5))
        layer.gamma.assign(gamma)
        layer.beta.assign(beta)
    tolerance = TOLERANCE[policy]
    for step in range(5):
        x = tf.cast(images(10 + step, scale=1.0 + step), ours.compute_dtype)
        weights = tf.constant(images(20 + step))
        results = []
        for layer in (ours, stock):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x, training=True)
                value = tf.reduce_sum(tf.cast(y, tf.float32) * weights)
            results.append((y, *tape.gradient(value, [x, layer.gamma.value, layer.beta.value])))
        for mine, theirs in zip(*results, strict=True):
            assert mine.dtype == theirs.dtype
            close(mine, theirs, tolerance)
        close(ours.moving_mean, stock.moving_mean, tolerance)
        close(ours.moving_variance, stock.moving_variance, tolerance)
    assert np.abs(np.asarray(ours.moving_mean)).min() > 0.1  # the statistics did move
    close(ours(x, training=False), stock(x, training=False), tolerance)
    assert ours.moving_mean.dtype == ours.moving_variance.dtype == "float32"


def test_inference_and_a_frozen_layer_leave_the_statistics_alone():
    layer = BatchNormalization()
    layer(images(0), training=True)
    before = [np.asarray(value) for value in layer.weights]
    layer(images(1), training=False)
    layer.trainable = False
    frozen = layer(images(1), training=True)
    for was, now in zip(before, layer.weights, strict=True):
        np.testing.assert_array_equal(was, now)
    np.testing.assert_array_equal(frozen, layer(images(1), training=False))


def test_the_moving_variance_averages_the_biased_variance():
    layer, x = BatchNormalization(), images(0, (2, 2, 2, 3))
    layer(x, training=True)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * x.mean(axis=(0, 1, 2)), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * x.var(axis=(0, 1, 2)), rtol=1e-5)
