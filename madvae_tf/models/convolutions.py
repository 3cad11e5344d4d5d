"""Convolutions of Table 5 in forms that CPUs compute faster; the numbers are those of the stock layers up to rounding.

Two places of the purifier are slow in the stock kernels, though they hold little work (`benchmarks/layers.py` measures both):

* In bfloat16 the filter's gradient of a strided convolution, where maps are small and channels many. Here it is four matrix
  products, one for each place that a block of 2 x 2 pixels has in the 4 x 4 filter (`filter_gradient`).
* A stride-1 transposed convolution into an image's one channel, because kernels work on blocks of output channels. Here the filter's
  rows are output channels of a convolution one pixel high; its results are shifted by a row each and added.

A GPU's kernels are used as they are.
"""

from typing import Any

import keras
import tensorflow as tf

# (filter side, stride) of the convolutions whose filter gradient is made of matrix products, and the largest map on which
# these are faster.
_HALVING = (4, 2)
_LARGEST_SIDE = 16
# From so many channels on a transposed convolution fills the kernels' blocks by itself.
_FEW_CHANNELS = 4


@keras.saving.register_keras_serializable("madvae_tf")
class Conv2D(keras.layers.Conv2D):
    """`keras.layers.Conv2D`; where it halves the sides of a small map in bfloat16 on a CPU, with `filter_gradient`."""

    def convolution_op(self, inputs, kernel):
        if not _halves(self, inputs):
            return super().convolution_op(inputs, kernel)

        @tf.custom_gradient
        def down(larger, kernel):
            def gradient(upstream):
                back = _widen(upstream, kernel, tf.shape(larger))
                return back, filter_gradient(larger, upstream)

            return tf.nn.conv2d(larger, kernel, 2, "SAME"), gradient

        return down(inputs, tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("madvae_tf")
class Conv2DTranspose(keras.layers.Conv2DTranspose):
    """`keras.layers.Conv2DTranspose`; where it doubles the sides of a small map in bfloat16 on a CPU, with `filter_gradient`, and into
    few channels at stride 1 by rows of the filter.
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
            # Operations only: a SavedModel cannot hold a gradient function that uses the layer's inputs.
            return transposed_by_rows(inputs, kernel)

        @tf.custom_gradient
        def transposed(images: tf.Tensor, kernel: tf.Tensor) -> Any:
            def gradient(upstream):
                back = tf.nn.conv2d(upstream, kernel, 1, "SAME")
                return back, tf.raw_ops.Conv2DBackpropFilter(
                    input=upstream,
                    filter_sizes=tf.shape(kernel),
                    out_backprop=images,
                    strides=[1, 1, 1, 1],
                    padding="SAME",
                )

            return transposed_by_rows(images, kernel), gradient

        return transposed(inputs, kernel)


def filter_gradient(larger: tf.Tensor, smaller: tf.Tensor) -> tf.Tensor:
    """The filter's gradient of a 4 x 4 convolution of stride 2 with padding "same", or of its transpose.

    An image in blocks of 2 x 2 pixels makes the convolution one of 2 x 2 blocks and stride 1; each of these four places is
    a matrix product over all pixels of the batch.

    Args:
        larger: (batch, 2 h, 2 w, c), the convolution's input, or the gradient of the transpose's output.
        smaller: (batch, h, w, d), the gradient of the convolution's output, or the transpose's input; of the same dtype.

    Returns:
        (4, 4, c, d), of that dtype.
    """
    (_, height, width, depth), channels = _shape(smaller), _shape(larger)[-1]
    padded = tf.pad(larger, [[0, 0], [1, 1], [1, 1], [0, 0]])
    # Rows in pairs, then pairs of rows side by side: only whole runs of 2 * channels numbers move.
    rows = tf.reshape(padded, [-1, height + 1, 2, width + 1, 2 * channels])
    blocks = tf.reshape(tf.transpose(rows, [0, 1, 3, 2, 4]), [-1, height + 1, width + 1, 4 * channels])
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


def transposed_by_rows(images: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """A transposed convolution of stride 1 with padding "same", by rows of its filter.

    Args:
        images: (batch, h, w, c).
        kernel: (k, k, d, c) with an odd k, as `tf.nn.conv2d_transpose` takes it.

    Returns:
        (batch, h, w, d).
    """
    size, _, channels, depth = _shape(kernel)
    height, margin = _shape(images)[1], size // 2
    flipped = tf.transpose(kernel[::-1, ::-1], [1, 3, 0, 2])
    rows = tf.nn.conv2d(images, tf.reshape(flipped, [1, size, depth, size * channels]), 1, "SAME")
    padded = tf.pad(rows, [[0, 0], [margin, margin], [0, 0], [0, 0]])
    return tf.add_n([padded[:, i : i + height, :, i * channels : (i + 1) * channels] for i in range(size)])


def _shape(tensor: tf.Tensor) -> tuple[Any, ...]:
    """What is known of the shape when a step is compiled; all but the batch is."""
    return tuple(tensor.shape)


def _widen(smaller: tf.Tensor, kernel: tf.Tensor, shape: Any) -> tf.Tensor:
    return tf.nn.conv2d_transpose(smaller, kernel, shape, 2, "SAME")


def _halves(layer: Any, inputs: tf.Tensor) -> bool:
    """Whether the layer is such a convolution, or the transpose of one, on such a map, in bfloat16."""
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


def _is_plain(layer: Any) -> bool:
    form = (layer.padding, layer.data_format, layer.dilation_rate)
    return form == ("same", "channels_last", (1, 1)) and not tf.config.list_physical_devices("GPU")
