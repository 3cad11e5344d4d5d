"""Counted FLOPs against products counted by hand."""

from types import SimpleNamespace

import keras
import pytest
import tensorflow as tf

from benchmarks.flops import count_flops, gemm_rate
from benchmarks.scale import Gpu, TwoCores, rows
from benchmarks.workers.ours_floor import forward_flops
from benchmarks.workers.ours_training import flops_per_image


def spec(*shape):
    return tf.TensorSpec(shape, tf.float32)


def test_a_matrix_product_by_hand():
    product = tf.function(lambda a, b: tf.matmul(a, b))
    assert count_flops(product.get_concrete_function(spec(3, 5), spec(5, 7))) == 2 * 3 * 5 * 7
    transposed = tf.function(lambda a, b: tf.matmul(a, b, transpose_a=True))
    assert count_flops(transposed.get_concrete_function(spec(5, 3), spec(5, 7))) == 2 * 3 * 5 * 7
    several = tf.function(lambda a, b: tf.matmul(a, b))
    assert (
        count_flops(several.get_concrete_function(spec(4, 3, 5), spec(4, 5, 7)))
        == 4 * 2 * 3 * 5 * 7
    )


def test_a_convolution_and_its_two_gradients_by_hand():
    """Each of them multiplies the same pairs: output (2, 4, 4, 6), kernel 3 x 3 x 5."""
    layer = keras.layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)
    layer.build((2, 8, 8, 5))

    @tf.function
    def both(images):
        with tf.GradientTape() as tape:
            tape.watch(images)
            total = tf.reduce_sum(tf.square(layer(images)))
        return tape.gradient(total, [images, *layer.trainable_variables])

    forward = 2 * (2 * 4 * 4 * 6) * (3 * 3 * 5)
    assert count_flops(tf.function(layer).get_concrete_function(spec(2, 8, 8, 5))) == forward
    assert count_flops(both.get_concrete_function(spec(2, 8, 8, 5))) == 3 * forward


def test_a_transposed_convolution_by_hand():
    """Input (1, 4, 4, 3), kernel 4 x 4 to 2 channels: every input pixel meets every weight once,
    whatever the stride.
    """
    layer = keras.layers.Conv2DTranspose(2, 4, strides=2, padding="same", use_bias=False)
    layer.build((1, 4, 4, 3))
    assert count_flops(tf.function(layer).get_concrete_function(spec(1, 4, 4, 3))) == 2 * (
        4 * 4 * 3
    ) * (4 * 4 * 2)


def test_the_models_by_hand():
    """Tables 5 and 6: 2 x output pixels x output channels x kernel x input channels, layer by
    layer.
    """
    classifier = 2 * (
        26 * 26 * 32 * 9
        + 24 * 24 * 32 * 9 * 32
        + 10 * 10 * 64 * 9 * 32
        + 8 * 8 * 64 * 9 * 64
        + 1024 * 200
        + 200 * 200
        + 200 * 10
    )
    encoder = (
        28 * 28 * 64 * 25
        + 16 * 16 * 64 * 16 * 64
        + 8 * 8 * 128 * 16 * 64
        + 4 * 4 * 256 * 16 * 128
        + 4096 * 128  # purifying needs the mean only
    )
    # A transposed convolution: input pixels x input channels x kernel x output channels.
    decoder = (
        128 * 4096
        + 4 * 4 * 256 * 16 * 128
        + 8 * 8 * 128 * 16 * 64
        + 16 * 16 * 64 * 16 * 64
        + 28 * 28 * 64 * 25
    )
    counted = forward_flops()
    assert counted["classifier"] == classifier
    # The graph holds the other head, too, whose output nobody reads.
    assert counted["purifier"] == 2 * (encoder + decoder)
    # A training step: both heads, two gradients a layer, but none towards the images.
    step = 3 * (encoder + decoder + 4096 * 128) - 28 * 28 * 64 * 25
    assert flops_per_image("vanilla") == 2 * step


@pytest.mark.slow
def test_the_scale_of_a_gpu_by_hand():
    """At 1 TFLOP/s: operations of a training step or of a gradient, times how many there are."""
    config = SimpleNamespace(
        vae=SimpleNamespace(epochs=2),
        attack=SimpleNamespace(cw_train_iterations=5, cw_train_search_steps=3),
    )
    steps = [flops_per_image(variant) for variant in ("vanilla", "cls", "pd", "combined")]
    # The last layer's own output is not needed for the gradient of the sum of the logits.
    gradient = forward_flops()["classifier"] * 2 - 2 * 200 * 10
    one, four, simple, *searches = rows(300, config, Gpu(1e12)).values()
    assert one == pytest.approx(300 * 2 * steps[0] / 1e12)
    assert four == pytest.approx(300 * 2 * sum(steps) / 1e12)
    assert simple == pytest.approx(200 * gradient / 1e12)
    assert searches == pytest.approx([100 * 15 * gradient / 1e12] * 2)
    # Two cores, by their measured rates, are slower than that.
    assert all(
        a > b
        for a, b in zip(rows(300, config, TwoCores()).values(), (one, four, simple), strict=False)
    )


def test_what_cannot_be_counted_is_an_error_and_not_nothing():
    unknown = tf.function(lambda a, b: tf.matmul(a, b))
    with pytest.raises(ValueError, match="known"):
        count_flops(unknown.get_concrete_function(spec(None, 5), spec(5, 7)))
    inner = tf.function(lambda a: tf.matmul(a, a))
    outer = tf.function(lambda a: inner(a) + 1.0)
    with pytest.raises(ValueError, match="whose cost is not seen"):
        count_flops(outer.get_concrete_function(spec(5, 5)))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_rate_is_positive(precision):
    assert gemm_rate(precision, size=16, repeats=2) > 0
