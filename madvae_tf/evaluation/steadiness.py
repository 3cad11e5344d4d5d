"""Systems whose answers are not a function of the image: seen by asking twice, attacked by their
mean, known by what they are made of.

Athalye et al. 2018, section 4.2: against a defence that draws, an attack follows the expectation
over its draws (EOT).
"""

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.evaluation.oblivious import batched
from madvae_tf.models.defended_model import Function

# How far two answers of one system to one image may lie apart, as a share of the largest: batches
# of another order round differently.
_ROUNDING = 1e-3
STEADY, RANDOM, BATCHWISE = "steady", "random", "batchwise"


def steadiness(judge: Function, images: np.ndarray, batch_size: int, logits: np.ndarray) -> str:
    """Whether a system says the same of the first images when it is asked again, and in another
    order.

    Args:
        judge: the system, compiled.
        images: float32 (n, height, width, channels) in [0, 1].
        logits: float32 (n, classes), what it said of them.

    Returns:
        STEADY; RANDOM, where it draws; or BATCHWISE, where an image's answer depends on the images
        beside it.
    """
    first = logits[:batch_size]
    if not _same(batched(judge, images[:batch_size], batch_size), first):
        return RANDOM
    turned = batched(judge, images[:batch_size][::-1], batch_size)[::-1]
    return STEADY if _same(turned, first) else BATCHWISE


def _same(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(
        np.allclose(
            one, other, rtol=0.0, atol=_ROUNDING * max(1.0, float(np.abs(other).max(initial=0.0)))
        )
    )


def mean_of_draws(target: DefendedModel, draws: int) -> DefendedModel:
    """The target with its mean logits over `draws` askings (EOT), for attacks; the same target for
    1.

    An image stands `draws` times in one batch, so that what a system draws for each image of a
    batch is averaged.
    """
    if draws == 1:
        return target

    def logits(images: tf.Tensor) -> tf.Tensor:
        every = target.logits(tf.tile(images, (draws, 1, 1, 1)))
        return tf.reduce_mean(tf.reshape(every, (draws, -1, every.shape[-1])), axis=0)

    return target.with_logits(logits)


def robust_in_all(
    judge: Function, images: np.ndarray, labels: np.ndarray, batch_size: int, repeats: int
) -> np.ndarray:
    """Bool (n,): classified right in each of `repeats` askings."""
    answers = [batched(judge, images, batch_size).argmax(axis=1) == labels for _ in range(repeats)]
    return np.logical_and.reduce(answers)


def made_of(model: Function, shape: tuple[int, ...]) -> np.ndarray:
    """What a function is made of, as the 32 bytes of a SHA-256, float32 (32,): its operations,
    constants and floating point variables.

    It tells two models apart without asking them, so that it knows one that draws again. A
    generator's state, which is of integers and moves on, is no part of it; names are none, since
    they count what a process has made before.

    Args:
        model: images -> logits.
        shape: of a batch of images.
    """
    traced = tf.function(model).get_concrete_function(tf.TensorSpec(shape, tf.float32))
    graph = traced.graph.as_graph_def()
    parts = [_digest(_nodes(graph.node))]
    # Functions of the library have names that count, and no order.
    parts += sorted(_digest(_nodes(function.node_def)) for function in graph.library.function)
    parts += [
        _digest([value.dtype.str.encode(), str(value.shape).encode(), value.tobytes()])
        for value in (np.asarray(variable) for variable in traced.graph.variables)
        if np.issubdtype(value.dtype, np.floating) or value.dtype.kind == "V"
    ]
    whole = hashlib.sha256("".join(parts).encode()).digest()
    return np.frombuffer(whole, np.uint8).astype(np.float32)


def _nodes(nodes: Iterable[Any]) -> Iterable[bytes]:
    for node in nodes:
        yield node.op.encode()
        if node.op == "Const":
            yield node.attr["value"].tensor.SerializeToString(deterministic=True)


def _digest(parts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8, "big"))
        whole.update(part)
    return whole.hexdigest()
