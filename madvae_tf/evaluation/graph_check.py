"""What a model's graph says: whether it rounds its numbers to fewer bits than float32 has, and
whether it optimises while it answers.
"""

from collections.abc import Iterable
from typing import Any

import tensorflow as tf

_ROUNDED: dict[int, str] = {kind.as_datatype_enum: kind.name for kind in (tf.bfloat16, tf.float16)}
# The name scopes of tf.GradientTape and tf.gradients.
_GRADIENTS = ("gradient_tape", "gradients")


def rounded_type(traced: Any) -> str | None:
    """ "bfloat16" or "float16" where an operation of the model, or of a function that it calls,
    works in it; else None.

    A last layer in float32 does not help: what was rounded before it stays rounded, and so does its
    gradient.

    Args:
        traced: a concrete function of TensorFlow.
    """
    for node in _nodes(traced):
        for value in node.attr.values():
            for kind in _types(value):
                if kind in _ROUNDED:
                    return _ROUNDED[kind]
    return None


def optimises(traced: Any) -> bool:
    """Whether the model takes gradients to make its answer: it searches for each image, as a latent
    projection does.

    Args:
        traced: a concrete function of TensorFlow.
    """
    return any(part in _GRADIENTS for node in _nodes(traced) for part in node.name.split("/"))


def _nodes(traced: Any) -> Iterable[Any]:
    graph = traced.graph.as_graph_def()
    for nodes in (graph.node, *(function.node_def for function in graph.library.function)):
        yield from nodes


def _types(value: Any) -> Iterable[int]:
    return [value.type] if value.HasField("type") else value.list.type
