"""The checks of the attacks themselves: curves, gradients, restarts."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.apgd import APGD
from madvae_tf.evaluation import Suite, Trial, diagnostics, gradients, rows, sanity
from madvae_tf.evaluation.result import Outcome


def test_curves_and_their_warnings(line):
    found = sanity.curves(
        DefendedModel(line.logits),
        line.images,
        line.labels,
        0.08,
        20,
        (0.0, 0.08, 0.5),
        (1, 20),
        progress=False,
    )
    assert {
        kind: [int(robust.sum()) for robust in curve.values()] for kind, curve in found.items()
    } == {
        "epsilon": [5, 2, 0],
        "steps": [2, 2],
    }
    assert diagnostics.curve_warnings(found) == []
    many = {0.3: np.zeros(50, bool), 0.5: np.ones(50, bool)}
    rising, grey = diagnostics.curve_warnings({"epsilon": many})
    assert "epsilon 0.5 leaves 1.0000" in rising and "above chance" in grey


def test_faint_gradients_are_a_share_of_the_pixels(line):
    """A quarter of the rows passes a thousandth of a tenth of the others' gradient on."""

    def logits(x):
        faint = x[:, :7] * 1e-5
        return line.logits(
            tf.concat([faint + tf.stop_gradient(x[:, :7] - faint), x[:, 7:]], axis=1)
        )

    norms, faint = gradients.gradients(
        DefendedModel(logits), line.images, line.labels, batch_size=4
    )
    assert (norms > 0).all()
    np.testing.assert_allclose(faint, 0.25)


def test_signs_that_differ_are_a_share_of_the_pixels(line):
    """A quarter of the rows leads the other way, in an eighth there is no gradient."""

    def logits(x):
        turned = tf.stop_gradient(2 * x[:, :7]) - x[:, :7]
        blind = tf.stop_gradient(x[:, 7:14, :14])
        rest = tf.concat([blind, x[:, 7:14, 14:]], axis=2)
        return line.logits(tf.concat([turned, rest, x[:, 14:]], axis=1))

    exact = DefendedModel(line.logits)
    given = (line.images, line.labels, 4)
    np.testing.assert_allclose(gradients.other_signs(exact, DefendedModel(logits), *given), 0.375)
    np.testing.assert_array_equal(gradients.other_signs(exact, exact, *given), 0)


def test_gradients_that_vanish_are_counted(line):
    def logits(x):
        # No gradient for the bright images.
        bright = tf.reduce_mean(x, [1, 2, 3], keepdims=True) > 0.6
        return line.logits(tf.where(bright, tf.stop_gradient(x), x))

    norms, faint = gradients.gradients(
        DefendedModel(logits), line.images, line.labels, batch_size=4
    )
    np.testing.assert_array_equal(norms == 0, [0, 0, 1, 1, 0, 0])
    # The gradient of the log-odds of an error in the gap: 2 / 784 in every pixel, but for the eight
    # low classes.
    assert norms[0] == pytest.approx(2 / 28, rel=1e-3)
    np.testing.assert_array_equal(faint, norms == 0)
    assert (
        "0.3333" in diagnostics.gradient_warnings(norms)[0]
        and diagnostics.gradient_warnings(norms[:2]) == []
    )


def test_the_share_of_restarts():
    def share(attack, *n_robust):
        return rows.restart_share(
            Outcome(Suite("s", ()), Trial("t", attack), np.zeros(1, bool), n_robust), 100
        )

    assert share(APGD(restarts=3), 60, 45, 40) == pytest.approx(20 / 60)
    assert share(APGD(restarts=2), 100, 100) is None and share(APGD(restarts=1), 40) is None
    # Three target classes, each once.
    assert share(APGD(loss="dlr_targeted", targets=3), 60, 45, 40) is None
