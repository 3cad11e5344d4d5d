"""The fast forms of Table 5's convolutions against the stock layers and against the definition."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.models.convolutions import (
    Conv2D,
    Conv2DTranspose,
    filter_gradient,
    transposed_by_rows,
)

# float32 sums in another order; bfloat16 keeps 8 bits of a number.
TOLERANCE = {"float32": 1e-5, "mixed_bfloat16": 3e-2}
# name -> (ours, stock, arguments, shape of the inputs, the stock gradient that ours avoids in
# bfloat16)
CASES = {
    "down": (Conv2D, keras.layers.Conv2D, (6, 4, 2), (3, 8, 12, 5), "Filter"),
    "down, large": (Conv2D, keras.layers.Conv2D, (6, 4, 2), (2, 32, 32, 5), ""),
    "down, odd": (Conv2D, keras.layers.Conv2D, (6, 4, 2), (2, 7, 7, 5), ""),
    "first, grey": (Conv2D, keras.layers.Conv2D, (6, 5, 1), (2, 8, 9, 1), "Input"),
    "first, colour": (Conv2D, keras.layers.Conv2D, (6, 3, 1), (2, 8, 7, 3), "Input"),
    "first, valid": (Conv2D, keras.layers.Conv2D, (6, 3, 1, "valid"), (2, 8, 7, 1), "Input"),
    "flat": (Conv2D, keras.layers.Conv2D, (6, 5, 1), (2, 8, 8, 5), ""),
    "up": (Conv2DTranspose, keras.layers.Conv2DTranspose, (5, 4, 2), (3, 4, 6, 7), "Filter"),
    "up, large": (Conv2DTranspose, keras.layers.Conv2DTranspose, (5, 4, 2), (2, 16, 16, 7), ""),
    "rows, grey": (Conv2DTranspose, keras.layers.Conv2DTranspose, (1, 5, 1), (3, 9, 8, 6), ""),
    "rows, colour": (Conv2DTranspose, keras.layers.Conv2DTranspose, (3, 3, 1), (3, 7, 10, 6), ""),
    "many channels": (Conv2DTranspose, keras.layers.Conv2DTranspose, (8, 5, 1), (3, 8, 8, 6), ""),
}


def numbers(seed, shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def assert_close(ours, stock, tolerance):
    stock = np.asarray(tf.cast(stock, tf.float32))
    ours = np.asarray(tf.cast(ours, tf.float32))
    np.testing.assert_allclose(ours, stock, rtol=0, atol=tolerance * np.abs(stock).max())


def results(layer, x, weights):
    """Outputs, and the gradients of a weighted sum of them, from a compiled step."""

    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x)
            value = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
        variables = [variable.value for variable in layer.trainable_variables]
        return outputs, *tape.gradient(value, [x, *variables])

    names = {op.type for op in step.get_concrete_function(x).graph.get_operations()}
    return step(x), names


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_as_the_stock_layer_forward_and_back(name, policy):
    ours, stock, arguments, shape, avoided = CASES[name]
    *arguments, padding = arguments if len(arguments) == 4 else (*arguments, "same")
    x = tf.cast(numbers(0, shape), "bfloat16" if policy == "mixed_bfloat16" else "float32")
    both = []
    for kind in (ours, stock):
        layer = kind(*arguments, padding=padding, activation="relu", dtype=policy)
        layer.build(shape)
        layer.set_weights([numbers(1, layer.kernel.shape), numbers(2, layer.bias.shape)])
        weights = tf.constant(numbers(3, layer.compute_output_shape(shape)))
        both.append(results(layer, x, weights))
    (mine, operations), (theirs, _) = both
    assert len(mine) == 4
    for a, b in zip(mine, theirs, strict=True):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert_close(a, b, TOLERANCE[policy])
    # A CPU takes the fast form where it is meant to be taken, and nowhere else.
    fast = avoided if policy == "mixed_bfloat16" else ""
    assert ("Conv2DBackpropFilter" not in operations) == (fast == "Filter")
    if ours is Conv2D:
        assert ("Conv2DBackpropInput" not in operations) == (fast == "Input")


def test_filter_gradient_is_its_definition():
    larger, smaller = numbers(4, (2, 6, 8, 3)), numbers(5, (2, 3, 4, 2))
    padded = np.pad(larger, [(0, 0), (1, 1), (1, 1), (0, 0)]).astype(np.float64)
    expected = np.zeros((4, 4, 3, 2))
    for image, row, column in np.ndindex(2, 3, 4):
        patch = padded[image, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4]
        expected += patch[..., None] * smaller[image, row, column]
    np.testing.assert_allclose(
        filter_gradient(tf.constant(larger), tf.constant(smaller)), expected, atol=1e-5
    )


def test_rows_are_the_definition_of_a_transposed_convolution():
    images, kernel = numbers(6, (1, 4, 5, 3)), numbers(7, (3, 3, 2, 3))
    expected = np.zeros((1, 6, 7, 2))
    for row, column in np.ndindex(4, 5):
        expected[0, row : row + 3, column : column + 3] += kernel @ images[0, row, column]
    whole = transposed_by_rows(tf.constant(images), tf.constant(kernel), 0)
    np.testing.assert_allclose(whole, expected, atol=1e-5)
    got = transposed_by_rows(tf.constant(images), tf.constant(kernel), 1)
    np.testing.assert_allclose(got, expected[:, 1:-1, 1:-1], atol=1e-5)


def test_in_bfloat16_no_further_from_the_truth_than_the_stock_gradient():
    larger, smaller = numbers(8, (16, 16, 16, 32)), numbers(9, (16, 8, 8, 24))
    with tf.GradientTape() as tape:
        kernel = tf.zeros((4, 4, 32, 24), tf.float64)
        tape.watch(kernel)
        outputs = tf.nn.conv2d(tf.cast(larger, tf.float64), kernel, 2, "SAME")
        value = tf.reduce_sum(outputs * tf.cast(smaller, tf.float64))
    truth = tape.gradient(value, kernel)
    halves = [tf.cast(values, tf.bfloat16) for values in (larger, smaller)]
    stock = tf.raw_ops.Conv2DBackpropFilter(
        input=halves[0],
        filter_sizes=[4, 4, 32, 24],
        out_backprop=halves[1],
        strides=[1, 2, 2, 1],
        padding="SAME",
    )
    errors = [
        float(tf.norm(tf.cast(gradient, tf.float64) - truth) / tf.norm(truth))
        for gradient in (filter_gradient(*halves), stock)
    ]
    # The stock one is off by 0.018 where the machine adds up in bfloat16.
    assert errors[0] < min(0.01, 1.2 * errors[1])


@pytest.mark.parametrize("name", ["down", "up", "rows, grey"])
def test_a_layer_is_saved_and_read_again(name, tmp_path):
    ours, _, arguments, shape, _ = CASES[name]
    model = keras.Sequential([keras.Input(shape[1:]), ours(*arguments, padding="same")])
    model.save(tmp_path / "model.keras")
    read = keras.saving.load_model(tmp_path / "model.keras")
    assert type(read.layers[0]) is ours
    x = numbers(10, shape)
    np.testing.assert_array_equal(read(x), model(x))


def test_a_saved_model_of_rows_has_a_gradient(tmp_path):
    layer = Conv2DTranspose(1, 5, padding="same")
    layer.build((None, 8, 8, 4))
    module = tf.Module()
    module.call = tf.function(lambda x: layer(x), input_signature=[tf.TensorSpec((None, 8, 8, 4))])
    module.variables_of = [v.value for v in layer.variables]
    tf.saved_model.save(module, str(tmp_path / "saved"))
    x = tf.constant(numbers(11, (2, 8, 8, 4)))
    gradients = []
    read = tf.saved_model.load(str(tmp_path / "saved"))
    for call in (layer, read.call):
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_sum(tf.square(call(x)))
        gradients.append(tape.gradient(value, x))
    np.testing.assert_allclose(*gradients, rtol=1e-5, atol=1e-5)
