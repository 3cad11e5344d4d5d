"""What tells an attacked model from another one: the way its gradient points, and the precision
that it computes in.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.square import Square
from madvae_tf.evaluation import Suite, Trial, evaluate, gradient_suite
from madvae_tf.utils.errors import UserError


def test_a_better_gradient_of_the_same_logits_is_attacked_anew(line, tmp_path):
    """BPDA: the logits are the system's own, and what an author of an adaptive attack changes is
    their gradient.
    """

    def blind(x):
        return tf.stop_gradient(line.logits(x))

    pgd = RestartedPGD(epsilon=0.08, iterations=10, step_size=0.01, restarts=1, random_start=False)
    suites = [Suite("bpda", (Trial("bpda_pgd", pgd, "identity"),))]
    found = [
        evaluate(
            line.logits,
            line.images,
            line.labels,
            suites,
            targets={"identity": DefendedModel(logits)},
            folder=tmp_path,
            progress=False,
        )
        for logits in (blind, line.logits, blind)
    ]
    assert [int(one.worst.sum()) for one in found] == [5, 2, 5]


def test_what_has_no_gradient_is_asked_for_values(line, tmp_path):
    """TensorFlow has no gradient for this operation, which changes nothing here; an attack on
    values alone needs none, and is kept, too.
    """

    def logits(x):
        return line.logits(tf.raw_ops.AdjustContrastv2(images=x, contrast_factor=1.0))

    suites = [Suite("own", (Trial("square", Square(epsilon=0.2, queries=40)),))]
    found = [
        evaluate(logits, line.images, line.labels, suites, folder=tmp_path, progress=False).worst
        for _ in range(2)
    ]
    np.testing.assert_array_equal(*found)
    assert not found[0][0] and len(list(tmp_path.iterdir())) == 1


def test_what_is_attacked_computes_in_float32_throughout(line):
    """bfloat16 inside, float32 at the end, as Keras has it under mixed precision; in a function
    that the model calls, too.
    """

    @tf.function
    def rounded(x):
        return tf.cast(line.logits(tf.cast(tf.cast(x, tf.bfloat16), tf.float32)), tf.float32)

    given = (line.images, line.labels, [gradient_suite("linf", 0.08, 10)])
    with pytest.raises(UserError, match="computes in bfloat16.*expected float32") as caught:
        evaluate(lambda x: rounded(x), *given, progress=False)
    assert "\n" not in str(caught.value)
    # What fools its float32 copy fools it: brightness 0.52 and 0.56 against a boundary at 0.5.
    found = evaluate(rounded, *given, target=DefendedModel(line.logits), progress=False)
    assert found.worst.tolist() == [False, False, True, True, False, False]


def test_a_mixed_precision_model_is_refused_though_its_last_layer_is_float32(line):
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(4, dtype="mixed_bfloat16"),
            keras.layers.Dense(10, dtype="float32"),
        ]
    )
    assert model(line.images).dtype == tf.float32
    with pytest.raises(UserError, match="computes in bfloat16"):
        evaluate(model, line.images, line.labels, [gradient_suite()], progress=False)
