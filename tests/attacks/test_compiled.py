"""What is compiled for a model goes when the model goes."""

import gc
import weakref

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import ATTACKS, DefendedModel, run_attack
from madvae_tf.attacks.compiled import per_target


def attacked():
    """A model, attacked; what is left is a reference that does not keep it."""
    kernel = tf.Variable(tf.random.stateless_normal((784, 10), (0, 0)))

    def logits(x):
        return tf.reshape(x, (-1, 784)) @ kernel

    attack = ATTACKS["pgd"](epsilon=0.1, iterations=2)
    run_attack(
        attack,
        DefendedModel(logits),
        np.full((2, 28, 28, 1), 0.5),
        np.zeros(2, int),
        (0, 0),
        batch_size=2,
    )
    return weakref.ref(logits)


def graphs():
    """How many graphs there are."""
    gc.collect()
    return sum(type(each).__name__ == "FuncGraph" for each in gc.get_objects())


def test_memory_does_not_grow_with_the_models_attacked():
    attacked()
    before = graphs()
    models = [attacked() for _ in range(3)]
    assert graphs() == before
    assert all(model() is None for model in models)


def test_one_target_is_compiled_once():
    traces = []

    @per_target
    def doubled(logits, x):
        traces.append(x.shape)
        return 2 * logits(x)

    def first(x):
        return x

    for _ in range(3):
        assert float(doubled(first, tf.constant(1.0))) == 2.0
    assert len(traces) == 1
    assert float(doubled(lambda x: x + 1, tf.constant(1.0))) == 4.0 and len(traces) == 2
