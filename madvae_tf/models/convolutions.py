"""Convolutions of Table 5 in forms that CPUs compute faster; the numbers are those of the stock
layers up to rounding.

Three places are slow in the stock kernels, though they hold little work (`benchmarks/layers.py`
measures them):

* In bfloat16 the filter's gradient of a strided convolution, where maps are small and channels
  many. Here it is four matrix products, one for each place that a block of 2 x 2 pixels has in the
  4 x 4 filter (`filter_gradient`).
* A stride-1 transposed convolution into an image's one channel, because kernels work on blocks of
  output channels. Here the filter's rows are output channels of a convolution one pixel high; its
  results are shifted by a row each and added (`transposed_by_rows`).
* The same product where it is the gradient towards an image, of a first convolution, which is what
  attacks ask for. A gradient of one's own cannot be saved in a SavedModel, so only bfloat16, which
  no export computes in, has this one.

A GPU's kernels are used as they are.
"""

from typing import Any

import keras
import tensorflow as tf

# (filter side, stride) of the convolutions whose filter gradient is made of matrix products, and
# the largest map on which these are faster.
_HALVING = (4, 2)
_LARGEST_SIDE = 16
# From so many channels on a transposed convolution fills the kernels' blocks by itself.
_FEW_CHANNELS = 4


@keras.saving.register_keras_serializable("madvae_tf")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`; in bfloat16 on a CPU with `filter_gradient` where it halves the sides
    of a small map, and with a gradient by rows of the filter towards few channels.
    """

    def convolution_op(self, inputs, kernel):
        if _halves(self, inputs):
            return self._down(inputs, kernel)
        if _sees_image(self, inputs):
            return self._first(inputs, kernel)
        return super().convolution_op(inputs, kernel)

    def _first(self, inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
        padding: Any = self.padding.upper()

        @tf.custom_gradient
        def first(images: tf.Tensor, kernel: tf.Tensor) -> Any:
            def gradient(upstream):
                margin = self.kernel_size[0] // 2 if padding == "SAME" else 0
                back = transposed_by_rows(upstream, kernel, margin)
                return back, _stock_filter_gradient(images, kernel, upstream, padding)

            return tf.nn.conv2d(images, kernel, 1, padding), gradient

        return first(inputs, tf.convert_to_tensor(kernel))

    def _down(self, inputs: tf.Tensor, kernel: Any) -> tf.Tensor:
        @tf.custom_gradient
        def down(larger: tf.Tensor, kernel: tf.Tensor) -> Any:
            def gradient(upstream):
                back = _widen(upstream, kernel, tf.shape(larger))
                return back, filter_gradient(larger, upstream)

            return tf.nn.conv2d(larger, kernel, 2, "SAME"), gradient

        return down(inputs, tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("madvae_tf")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`; where it doubles the sides of a small map in bfloat16 on a
    CPU, with `filter_gradient`, and into few channels at stride 1 by rows of the filter.
    """

    def call(self, inputs):
        if _halves(self, inputs):
            outputs = self._up(inputs)
        elif _by_rows(self):
            outputs = self._rows(inputs)
        else:
            return super().call(inputs)
        if self.bias is not None:
            outputs += tf.convert_to_tensor(self.bias)
        return self.activation(outputs)

    def _up(self, inputs: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def up(smaller: tf.Tensor, kernel: tf.Tensor) -> Any:
            def gradient(upstream):
                return tf.nn.conv2d(upstream, kernel, 2, "SAME"), filter_gradient(upstream, smaller)

            batch, height, width, _ = tf.unstack(tf.shape(smaller))
            outputs = _widen(smaller, kernel, (batch, 2 * height, 2 * width, self.filters))
            return tf.ensure_shape(outputs, self.compute_output_shape(smaller.shape)), gradient

        return up(inputs, tf.convert_to_tensor(self.kernel))

    def _rows(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.convert_to_tensor(self.kernel)
        if inputs.dtype != tf.bfloat16:
            # Operations only: a SavedModel cannot hold a gradient function that uses the layer's
            # inputs.
            return transposed_by_rows(inputs, kernel, self.kernel_size[0] // 2)

        @tf.custom_gradient
        def transposed(images: tf.Tensor, kernel: tf.Tensor) -> Any:
            def gradient(upstream):
                back = tf.nn.conv2d(upstream, kernel, 1, "SAME")
                return back, _stock_filter_gradient(upstream, kernel, images, "SAME")

            return transposed_by_rows(images, kernel, self.kernel_size[0] // 2), gradient

        return transposed(inputs, kernel)


def filter_gradient(larger: tf.Tensor, smaller: tf.Tensor) -> tf.Tensor:
    """The filter's gradient of a 4 x 4 convolution of stride 2 with padding "same", or of its
    transpose.

    An image in blocks of 2 x 2 pixels makes the convolution one of 2 x 2 blocks and stride 1; each
    of these four places is a matrix product over all pixels of the batch.

    Args:
        larger: (batch, 2 h, 2 w, c), the convolution's input, or the gradient of the transpose's
            output.
        smaller: (batch, h, w, d), the gradient of the convolution's output, or the transpose's
            input; of the same dtype.

    Returns:
        (4, 4, c, d), of that dtype.
    """
    (_, height, width, depth), channels = _shape(smaller), _shape(larger)[-1]
    padded = tf.pad(larger, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # Rows in pairs, then pairs of rows side by side: only whole runs of 2 * channels numbers move.
    rows = tf.reshape(padded, [-1, height + 1, 2, width + 1, 2 * channels])
    blocks = tf.reshape(
        tf.transpose(rows, [0, 1, 3, 2, 4]), [-1, height + 1, width + 1, 4 * channels]
    )
    errors = tf.reshape(smaller, [-1, depth])
    quarters = [
        tf.matmul(
            tf.reshape(blocks[:, top : top + height, left : left + width], [-1, 4 * channels]),
            errors,
            transpose_a=True,
        )
        for top in (0, 1)
        for left in (0, 1)
    ]
    # (top, left, row in a block, column in a block, c, d)
    parts = tf.reshape(tf.stack(quarters), [2, 2, 2, 2, channels, depth])
    return tf.reshape(tf.transpose(parts, [0, 2, 1, 3, 4, 5]), [4, 4, channels, depth])


def transposed_by_rows(images: tf.Tensor, kernel: tf.Tensor, margin: int) -> tf.Tensor:
    """A transposed convolution of stride 1, by rows of its filter.

    Args:
        images: (batch, h, w, c).
        kernel: (k, k, d, c) with an odd k, as `tf.nn.conv2d_transpose` takes it.
        margin: pixels that the convolution pads on each side: k // 2 for padding "same", 0 for
            "valid".

    Returns:
        (batch, h + k - 1 - 2 margin, w + k - 1 - 2 margin, d).
    """
    size, _, channels, depth = _shape(kernel)
    beyond = size - 1 - margin
    height = _shape(images)[1] + 2 * beyond - size + 1
    flipped = tf.transpose(kernel[::-1, ::-1], [1, 3, 0, 2])
    row = tf.reshape(flipped, [1, size, depth, size * channels])
    # Converters to other formats know "same"; at its height of 1 it pads the width alone.
    sides: Any = "SAME" if beyond == size // 2 else [[0, 0], [0, 0], [beyond, beyond], [0, 0]]
    rows = tf.nn.conv2d(images, row, 1, sides)
    padded = tf.pad(rows, [[0, 0], [beyond, beyond], [0, 0], [0, 0]])
    return tf.add_n(
        [padded[:, i : i + height, :, i * channels : (i + 1) * channels] for i in range(size)]
    )


def _stock_filter_gradient(
    larger: tf.Tensor, kernel: tf.Tensor, smaller: tf.Tensor, padding: str
) -> tf.Tensor:
    return tf.raw_ops.Conv2DBackpropFilter(
        input=larger,
        filter_sizes=tf.shape(kernel),
        out_backprop=smaller,
        strides=[1, 1, 1, 1],
        padding=padding,
    )


def _shape(tensor: tf.Tensor) -> tuple[Any, ...]:
    """What is known of the shape when a step is compiled; all but the batch is."""
    return tuple(tensor.shape)


def _widen(smaller: tf.Tensor, kernel: tf.Tensor, shape: Any) -> tf.Tensor:
    return tf.nn.conv2d_transpose(smaller, kernel, shape, 2, "SAME")


def _halves(layer: Any, inputs: tf.Tensor) -> bool:
    """Whether the layer is such a convolution, or the transpose of one, on such a map, in bfloat16."""  # noqa: E501
    sides = _shape(inputs)[1:3]
    if isinstance(layer, Conv2DTranspose):
        sides = (2 * sides[0], 2 * sides[1])
    elif layer.groups != 1 or sides[0] % 2 or sides[1] % 2:
        return False
    return (
        _is_plain(layer)
        and layer.kernel_size == (_HALVING[0],) * 2
        and layer.strides == (_HALVING[1],) * 2
        and max(sides) <= _LARGEST_SIDE
        and inputs.dtype == tf.bfloat16
    )


def _by_rows(layer: Any) -> bool:
    height, width = layer.kernel_size
    odd = height == width and height % 2 == 1
    return _is_plain(layer) and odd and layer.strides == (1, 1) and layer.filters < _FEW_CHANNELS


def _sees_image(layer: Any, inputs: tf.Tensor) -> bool:
    height, width = layer.kernel_size
    odd = height == width and height % 2 == 1
    flat = (
        odd and layer.strides == (1, 1) and layer.groups == 1 and inputs.shape[-1] < _FEW_CHANNELS
    )
    return flat and inputs.dtype == tf.bfloat16 and _is_plain(layer, ("same", "valid"))


def _is_plain(layer: Any, paddings: tuple[str, ...] = ("same",)) -> bool:
    form = (layer.data_format, layer.dilation_rate)
    padded = layer.padding in paddings and form == ("channels_last", (1, 1))
    return padded and not tf.config.list_physical_devices("GPU")
