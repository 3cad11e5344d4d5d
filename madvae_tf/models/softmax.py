"""The logits of a Keras model that ends in a softmax, or in a single sigmoid: the model without it.

The logarithm of a softmax in float32 loses what lies some 16 below the largest logit, and its
gradient with it, so that a very sure model looks robust. Where the last layer shows what it does,
nothing is lost.
"""

from collections.abc import Callable
from typing import Any

import keras

from madvae_tf.models.inference import for_inference
from madvae_tf.models.preprocessing import PreprocessedClassifier

_Function = Callable[[Any], Any]


def without_softmax(model: Any) -> _Function | None:
    """The model's logits as a function of its inputs, for inference; it shares the model's weights
    and changes nothing of it.

    Returns:
        None where the last layer does not show that it is a softmax of something: then the
        logarithm is what remains.
    """
    return _without(model, keras.activations.softmax)


def without_sigmoid(model: Any) -> _Function | None:
    """As `without_softmax`, of a model that ends in a sigmoid."""
    return _without(model, keras.activations.sigmoid)


def _without(model: Any, activation: _Function) -> _Function | None:
    if isinstance(model, PreprocessedClassifier):
        return _behind(model, activation)
    if isinstance(model, keras.Sequential):
        return _of_sequence(model, activation)
    if isinstance(model, keras.Model):
        return _of_graph(model, activation)
    return _of_layer(model, activation)


def _of_layer(layer: Any, activation: _Function) -> _Function | None:
    softmax = type(layer) is keras.layers.Softmax and layer.axis == -1
    if softmax and activation is keras.activations.softmax:
        return lambda inputs: inputs
    if getattr(layer, "activation", None) is not activation:
        return None
    if type(layer) is keras.layers.Activation:
        return lambda inputs: inputs
    if type(layer) is keras.layers.Dense and getattr(layer, "quantization_mode", None) is None:
        return lambda inputs: _dense(layer, inputs)
    return None


def _dense(layer: Any, inputs: Any) -> Any:
    """A dense layer without its activation, in float32."""
    logits = keras.ops.matmul(
        keras.ops.cast(inputs, "float32"), keras.ops.cast(layer.kernel, "float32")
    )
    return logits if layer.bias is None else logits + keras.ops.cast(layer.bias, "float32")


def _of_sequence(model: keras.Sequential, activation: _Function) -> _Function | None:
    *first, last = model.layers or [None]
    rest = _without(last, activation)
    if rest is None:
        return None

    def logits(inputs: Any) -> Any:
        for layer in first:
            inputs = for_inference(layer, inputs)
        return rest(inputs)

    return logits


def _behind(model: PreprocessedClassifier, activation: _Function) -> _Function | None:
    rest = _without(model.classifier, activation)
    return rest and (lambda inputs: rest(for_inference(model.preprocessing, inputs)))


def _of_graph(model: keras.Model, activation: _Function) -> _Function | None:
    """A functional model: its output is one layer's, and that layer is called once."""
    try:
        (output,) = model.outputs
        last = next(layer for layer in model.layers if layer.output is output)
        rest, before = _without(last, activation), keras.Model(model.input, last.input)
    except (AttributeError, StopIteration, TypeError, ValueError):
        return None
    return None if rest is None else lambda inputs: rest(for_inference(before, inputs))
