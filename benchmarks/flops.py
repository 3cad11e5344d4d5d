"""Counted floating-point operations, and what the machine could do: the limit that every row is
held against.

Multiplications and additions of convolutions and matrix products are counted in the traced graph,
gradients included: 2 x the number of products. Everything else (normalisation, activations, Adam)
counts as nothing, and so does what no result needs: no code can pass that limit.
"""

import math
import time
from typing import Any

import tensorflow as tf

_CONVOLUTIONS = {
    # Op -> which tensor has the shape of the convolution's output: an output of the op, or one of
    # its inputs.
    "Conv2D": ("output", 0),
    "Conv2DBackpropInput": ("input", 2),
    "Conv2DBackpropFilter": ("input", 2),
}
_CALLS = {
    "PartitionedCall",
    "StatefulPartitionedCall",
    "While",
    "StatelessWhile",
    "If",
    "StatelessIf",
}


def count_flops(function: Any) -> int:
    """Of one call of a concrete function whose shapes are all known.

    Raises:
        ValueError: a shape is not known, or the graph calls a function that would have to be looked
            into.
    """
    total = 0
    for operation in _needed(function.graph):
        if operation.type in _CALLS:
            raise ValueError(
                f"The graph calls {operation.name} ({operation.type}), whose cost is not seen."
            )
        if operation.type in _CONVOLUTIONS:
            where, place = _CONVOLUTIONS[operation.type]
            tensor = operation.outputs[place] if where == "output" else operation.inputs[place]
            total += 2 * _elements(tensor) * math.prod(_kernel(operation)[:3])
        elif operation.type in ("MatMul", "BatchMatMulV2"):
            left = operation.inputs[0].shape
            transposed = operation.get_attr(
                "transpose_a" if operation.type == "MatMul" else "adj_x"
            )
            total += 2 * _elements(operation.outputs[0]) * left[-2 if transposed else -1]
    return total


def _needed(graph: Any) -> list[tf.Operation]:
    """Those that its results and side effects need; the rest (the gradient towards an input, say)
    is never computed.
    """
    found = {}
    waiting = [tensor.op for tensor in graph.outputs] + list(graph.control_outputs)
    while waiting:
        operation = waiting.pop()
        if operation.name not in found:
            found[operation.name] = operation
            waiting += [tensor.op for tensor in operation.inputs] + list(operation.control_inputs)
    return list(found.values())


def _elements(tensor: tf.Tensor) -> int:
    count = tensor.shape.num_elements()
    if count is None:
        raise ValueError(f"{tensor.name} has the shape {tensor.shape}, expected a known one.")
    return count


def _kernel(operation: tf.Operation) -> tuple[int, ...]:
    """(height, width, in, out)."""
    if operation.type == "Conv2D":
        return tuple(operation.inputs[1].shape)
    if operation.type == "Conv2DBackpropInput":
        return tuple(operation.inputs[1].shape)
    # The filter gradient's own output may have no static shape; its size is a constant input.
    known = operation.outputs[0].shape
    if known.is_fully_defined():
        return tuple(known)
    sizes = tf.get_static_value(operation.inputs[1])
    if sizes is None:
        raise ValueError(f"The shape of the filter of {operation.name} is not known.")
    return tuple(int(size) for size in sizes)


def gemm_rate(precision: str, size: int = 2048, repeats: int = 8) -> float:
    """FLOP/s of a square matrix product: the best of `repeats`, which is what the machine can do
    when it is let.
    """
    dtype = tf.bfloat16 if precision == "bfloat16" else tf.float32
    left = tf.cast(tf.random.stateless_normal((size, size), (0, 0)), dtype)
    right = tf.cast(tf.random.stateless_normal((size, size), (0, 1)), dtype)
    product = tf.function(lambda: tf.reduce_sum(tf.cast(tf.matmul(left, right)[:1], tf.float32)))
    product().numpy()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        product().numpy()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)
