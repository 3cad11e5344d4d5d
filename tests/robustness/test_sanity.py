"""The checks of the attacks themselves: curves, gradients, restarts, and what less finds that more does not."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import Target
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.crossing import Crossing
from madvae_tf.attacks.overpowered import Overpowered
from madvae_tf.attacks.square import Square
from madvae_tf.robustness import Suite, Trial, sanity
from madvae_tf.robustness.evaluation import Evaluation, Outcome
from madvae_tf.robustness.rows import beyond_rows


def test_curves_and_their_warnings(line):
    found = sanity.curves(
        Target(line.logits), line.images, line.labels, 0.08, 20, (0.0, 0.08, 0.5), (1, 20), progress=False
    )
    assert {kind: [int(right.sum()) for right in curve.values()] for kind, curve in found.items()} == {
        "epsilon": [5, 2, 0],
        "steps": [2, 2],
    }
    assert sanity.curve_warnings(found) == []
    many = {0.3: np.zeros(50, bool), 0.5: np.ones(50, bool)}
    rising, grey = sanity.curve_warnings({"epsilon": many})
    assert "epsilon 0.5 leaves 1.0000" in rising and "above chance" in grey


def test_faint_gradients_are_a_share_of_the_pixels(line):
    """A quarter of the rows passes a thousandth of a tenth of the others' gradient on."""

    def logits(x):
        faint = x[:, :7] * 1e-5
        return line.logits(tf.concat([faint + tf.stop_gradient(x[:, :7] - faint), x[:, 7:]], axis=1))

    norms, faint = sanity.gradients(Target(logits), line.images, line.labels, batch_size=4)
    assert (norms > 0).all()
    np.testing.assert_allclose(faint, 0.25)


def test_faint_gradients_are_a_warning_where_steps_follow_their_size():
    norms, faint = np.ones(4), np.array([1.0, 1.0, 0.5, 0.0])
    (line,) = sanity.gradient_warnings(norms, faint)
    assert "mean share of 0.6250 of the pixels" in line
    assert sanity.gradient_warnings(norms, faint - 0.125) == sanity.gradient_warnings(norms) == []


def test_signs_that_differ_are_a_share_of_the_pixels(line):
    """A quarter of the rows leads the other way, in an eighth there is no gradient."""

    def logits(x):
        turned = tf.stop_gradient(2 * x[:, :7]) - x[:, :7]
        blind = tf.stop_gradient(x[:, 7:14, :14])
        rest = tf.concat([blind, x[:, 7:14, 14:]], axis=2)
        return line.logits(tf.concat([turned, rest, x[:, 14:]], axis=1))

    exact = Target(line.logits)
    given = (line.images, line.labels, 4)
    np.testing.assert_allclose(sanity.other_signs(exact, Target(logits), *given), 0.375)
    np.testing.assert_array_equal(sanity.other_signs(exact, exact, *given), 0)


def test_gradients_that_vanish_are_counted(line):
    def logits(x):
        # No gradient for the bright images.
        bright = tf.reduce_mean(x, [1, 2, 3], keepdims=True) > 0.6
        return line.logits(tf.where(bright, tf.stop_gradient(x), x))

    norms, faint = sanity.gradients(Target(logits), line.images, line.labels, batch_size=4)
    np.testing.assert_array_equal(norms == 0, [0, 0, 1, 1, 0, 0])
    # The gradient of -log softmax in the gap: 2 (p - 1) / 784 in every pixel, but for the eight low classes.
    p = 1 / (1 + np.exp(-2 * 0.02))
    assert norms[0] == pytest.approx(2 * (1 - p) / 28, rel=1e-3)
    np.testing.assert_array_equal(faint, norms == 0)
    assert "0.3333" in sanity.gradient_warnings(norms)[0] and sanity.gradient_warnings(norms[:2]) == []


def evaluation_of(**right):
    """An evaluation with one outcome for each name, of the first images still right."""
    attacks = {
        "square": Square(),
        "bpda": APGD(),
        "apgd": APGD(),
        "crossing": Crossing(),
        "overpowered": Overpowered(),
        "eot": APGD(),
    }
    gradients = {"bpda": "identity", "crossing": "straight", "eot": "expectation"}
    outcomes = [
        Outcome(
            Suite("s", ()),
            Trial(name, attacks[name], gradients.get(name, "exact")),
            np.arange(100) < count,
            (count,),
        )
        for name, count in right.items()
    ]
    return Evaluation(np.ones(100, bool), tuple(outcomes))


def test_what_attacks_without_gradients_fool_alone():
    found = evaluation_of(apgd=50, square=40, bpda=45)
    half = np.arange(100) % 2 == 0
    few = dataclasses.replace(found.outcomes[1], attacked=half)
    for outcome, size in ((found.outcomes[1], 100), (few, 50)):
        end = Evaluation(found.clean, (found.outcomes[0], outcome, found.outcomes[2]))
        ((query, alone),) = sanity.beyond_gradients(end)
        # Of the images 40 to 44; 45 to 49 fell to BPDA, too.
        assert query is outcome and (len(alone), alone.sum()) == (size, 5 if size == 100 else 3)
    (row,) = beyond_rows(
        end, {"dataset": "mnist", "seed": 0, "defense": "pd", "threat_model": "end_to_end"}, {"norm": "linf"}
    )
    assert (row["attack"], row["metric"], row["value"], row["n"]) == (
        "square",
        "beyond_gradients_share",
        0.06,
        50,
    )
    assert sanity.beyond_gradients(evaluation_of(square=40)) == []


def test_warnings_where_less_beats_more():
    strong = evaluation_of(apgd=20, square=20)
    assert sanity.order_warnings({"end_to_end": strong, "oblivious": evaluation_of(apgd=90)}) == []
    (line,) = sanity.order_warnings({"end_to_end": evaluation_of(apgd=90), "oblivious": strong})
    assert "oblivious leaves 0.2000, end_to_end 0.9000" in line
    (line,) = sanity.order_warnings({"end_to_end": evaluation_of(apgd=50, square=40)})
    assert "Square fools 0.1000" in line
    (line,) = sanity.order_warnings({"end_to_end": evaluation_of(apgd=50, bpda=40)})
    assert "(BPDA) fool 0.1000" in line


def test_a_weaker_attacker_on_fewer_images_is_compared_on_those():
    """The surrogate's attacks fool all of the 20 images that they met; the 80 others count as right in their worst case."""
    weaker = evaluation_of(apgd=0)
    met = np.arange(100) < 20
    (outcome,) = weaker.outcomes
    part = Evaluation(weaker.clean, (dataclasses.replace(outcome, right=~met, attacked=met),))
    (line,) = sanity.order_warnings({"end_to_end": evaluation_of(apgd=50), "transfer": part})
    assert "transfer leaves 0.0000, end_to_end 1.0000 of the 20 images that both met" in line
    # End to end nothing is left of these 20.
    strong = Evaluation(weaker.clean, (dataclasses.replace(outcome, right=~met),))
    assert sanity.order_warnings({"end_to_end": strong, "transfer": part}) == []


def test_what_goes_around_the_gradient_does_not_hide_that_it_misleads():
    """`robust` in L2: Square finds what the exact gradient does not; that `crossing` finds it, too, says that the defence is broken, not that the gradient is right."""
    black, around = sanity.order_warnings({"end_to_end": evaluation_of(apgd=90, square=40, crossing=5)})
    assert "black-box beats white-box: Square fools 0.5000" in black
    assert "attacks around them (crossing) fool 0.8500" in around
    # A search among what the decoder draws takes no steps along the gradient that is in question.
    assert sanity.order_warnings({"end_to_end": evaluation_of(overpowered=20, crossing=5)}) == []
    # Without an attack along the exact gradient there are those around it.
    assert sanity.order_warnings({"end_to_end": evaluation_of(bpda=40, square=45)}) == []
    (line,) = sanity.order_warnings({"end_to_end": evaluation_of(bpda=50, square=40)})
    assert "Square fools 0.1000 of its images, and no attack along a gradient any of those" in line
    for only in ("eot", "overpowered"):
        (line,) = sanity.order_warnings({"end_to_end": evaluation_of(**{only: 50}, square=40)})
        assert "Square fools 0.1000" in line


def test_the_share_of_restarts():
    def share(attack, *left):
        return sanity.restart_share(Outcome(Suite("s", ()), Trial("t", attack), np.zeros(1, bool), left), 100)

    assert share(APGD(restarts=3), 60, 45, 40) == pytest.approx(20 / 60)
    assert share(APGD(restarts=2), 100, 100) is None and share(APGD(restarts=1), 40) is None
    # Three target classes, each once.
    assert share(APGD(loss="dlr_targeted", targets=3), 60, 45, 40) is None
