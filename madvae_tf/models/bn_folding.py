"""A purifier for inference, with batch normalisation folded into the convolutions before it.

    gamma (W * x - mean) / sqrt(variance + epsilon) + beta  =  (s W) * x + beta - s mean,
    s = gamma / sqrt(variance + epsilon)

At inference the moving statistics are constants, so this is the same function up to the rounding of
float32, in fewer passes over memory, forward and towards the image: attacks on a whole system ask
for millions of both.
"""

from typing import Any

import keras
import numpy as np

from madvae_tf.models.convolutions import Conv2D, Conv2DTranspose
from madvae_tf.models.copies import in_precision
from madvae_tf.models.layers import BatchNormalization
from madvae_tf.models.vae import DefenseVAE


def fold_batch_norm(purifier: DefenseVAE) -> DefenseVAE:
    """A frozen float32 copy that gives what `purifier` gives at inference; it cannot be trained or
    saved.
    """
    copy: Any = in_precision(purifier, "float32")
    for name in ("encoder", "decoder"):
        setattr(copy, name, _without_normalisation(getattr(copy, name)))
    copy.trainable = False
    return copy


def _without_normalisation(model: keras.Sequential) -> keras.Sequential:
    # Between a convolution and its normalisation there may be a crop, which no constant per channel
    # minds.
    layers: list[Any] = []
    waiting: int | None = None
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            if waiting is None:
                raise ValueError(
                    f"Invalid model: received {layer.name} after no convolution, expected one"
                    " before it."
                )
            layers[waiting] = _joined(layers[waiting], layer)
            waiting = None
            continue
        if isinstance(layer, (Conv2D, Conv2DTranspose)):
            waiting = len(layers)
        layers.append(layer)
    return keras.Sequential(
        [keras.Input(model.input_shape[1:], dtype="float32"), *layers], name=model.name
    )


def _joined(layer: Any, norm: Any) -> Any:
    """The convolution that does what `layer` and then `norm` do."""
    scale = norm.gamma.numpy() / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    shift = norm.beta.numpy() - scale * norm.moving_mean.numpy()
    kernel = layer.kernel.numpy()
    # A transposed convolution's kernel is (height, width, out, in).
    kernel = kernel * (scale[:, None] if isinstance(layer, Conv2DTranspose) else scale)
    bias = shift if layer.bias is None else shift + scale * layer.bias.numpy()
    joined: Any = type(layer).from_config({**layer.get_config(), "use_bias": True})
    joined.build_from_config(layer.get_build_config())
    joined.set_weights([kernel, bias])
    return joined
