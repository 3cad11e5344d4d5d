"""Compiled functions of a target, kept with it: they go when the model goes."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tensorflow as tf

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
_KEPT = "_madvae_tf_compiled"


def per_target(
    function: Callable[Parameters, Result], **options: bool
) -> Callable[Parameters, Result]:
    """`tf.function`, made for each first argument, the target's logits, and kept in its `__dict__`.

    One function for all keeps what it compiled for each model it ever saw: an evaluation of many
    models would grow without end.

    Args:
        function: its first argument is a callable; of what comes after it, tensors are traced by
            shape, the rest by value.
        options: of `tf.function`.
    """
    shared = tf.function(function, **options)

    @functools.wraps(function)
    def call(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        kept = getattr(args[0], "__dict__", None)
        if not isinstance(
            kept, dict
        ):  # A method of a built-in class, say: it has nowhere to keep anything.
            return shared(*args, **kwargs)
        compiled = kept.setdefault(_KEPT, {})
        if function not in compiled:
            compiled.setdefault(function, tf.function(function, **options))
        return compiled[function](*args, **kwargs)

    return call
