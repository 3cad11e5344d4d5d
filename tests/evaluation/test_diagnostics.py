"""Warnings where an evaluation does not hold: faint gradients, and what less finds that more does
not.
"""

import dataclasses

import numpy as np

from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.overpowered import Overpowered
from madvae_tf.attacks.square import Square
from madvae_tf.attacks.threshold_l2 import ThresholdL2
from madvae_tf.evaluation import Suite, Trial, diagnostics
from madvae_tf.evaluation.result import Evaluation, Outcome
from madvae_tf.evaluation.rows import beyond_rows


def test_faint_gradients_are_a_warning_where_steps_follow_their_size():
    norms, faint = np.ones(4), np.array([1.0, 1.0, 0.5, 0.0])
    (line,) = diagnostics.gradient_warnings(norms, faint)
    assert "mean share of 0.6250 of the pixels" in line
    assert (
        diagnostics.gradient_warnings(norms, faint - 0.125)
        == diagnostics.gradient_warnings(norms)
        == []
    )


def evaluation_of(**robust):
    """An evaluation with one outcome for each name, of the first images still right."""
    attacks = {
        "square": Square(),
        "bpda": APGD(),
        "apgd": APGD(),
        "crossing": ThresholdL2(),
        "overpowered": Overpowered(),
        "eot": APGD(),
    }
    gradients = {"bpda": "identity", "crossing": "straight_through", "eot": "expectation"}
    outcomes = [
        Outcome(
            Suite("s", ()),
            Trial(name, attacks[name], gradients.get(name, "exact")),
            np.arange(100) < count,
            (count,),
        )
        for name, count in robust.items()
    ]
    return Evaluation(np.ones(100, bool), tuple(outcomes))


def test_what_attacks_without_gradients_fool_alone():
    found = evaluation_of(apgd=50, square=40, bpda=45)
    half = np.arange(100) % 2 == 0
    few = dataclasses.replace(found.outcomes[1], attacked=half)
    for outcome, size in ((found.outcomes[1], 100), (few, 50)):
        end = Evaluation(found.clean, (found.outcomes[0], outcome, found.outcomes[2]))
        ((query, alone),) = diagnostics.beyond_gradients(end)
        # Of the images 40 to 44; 45 to 49 fell to BPDA, too.
        assert query is outcome and (len(alone), alone.sum()) == (size, 5 if size == 100 else 3)
    (row,) = beyond_rows(
        end,
        {"dataset": "mnist", "seed": 0, "defense": "pd", "threat_model": "end_to_end"},
        {"norm": "linf"},
    )
    assert (row["attack"], row["metric"], row["value"], row["n"]) == (
        "square",
        "beyond_gradients_share",
        0.06,
        50,
    )
    assert diagnostics.beyond_gradients(evaluation_of(square=40)) == []


def test_warnings_where_less_beats_more():
    strong = evaluation_of(apgd=20, square=20)
    assert (
        diagnostics.order_warnings({"end_to_end": strong, "oblivious": evaluation_of(apgd=90)})
        == []
    )
    (line,) = diagnostics.order_warnings(
        {"end_to_end": evaluation_of(apgd=90), "oblivious": strong}
    )
    assert "oblivious leaves 0.2000, end_to_end 0.9000" in line
    (line,) = diagnostics.order_warnings({"end_to_end": evaluation_of(apgd=50, square=40)})
    assert "Square fools 0.1000" in line
    (line,) = diagnostics.order_warnings({"end_to_end": evaluation_of(apgd=50, bpda=40)})
    assert "(BPDA) fool 0.1000" in line


def test_a_weaker_attacker_on_fewer_images_is_compared_on_those():
    """The surrogate's attacks fool all of the 20 images that they met; the 80 others count as right
    in their worst case.
    """
    weaker = evaluation_of(apgd=0)
    met = np.arange(100) < 20
    (outcome,) = weaker.outcomes
    part = Evaluation(weaker.clean, (dataclasses.replace(outcome, robust=~met, attacked=met),))
    (line,) = diagnostics.order_warnings({"end_to_end": evaluation_of(apgd=50), "transfer": part})
    assert "transfer leaves 0.0000, end_to_end 1.0000 of the 20 images that both met" in line
    # End to end nothing is left of these 20.
    strong = Evaluation(weaker.clean, (dataclasses.replace(outcome, robust=~met),))
    assert diagnostics.order_warnings({"end_to_end": strong, "transfer": part}) == []


def test_what_goes_around_the_gradient_does_not_hide_that_it_misleads():
    """`robust` in L2: Square finds what the exact gradient does not; that `crossing` finds it, too,
    says that the defence is broken, not that the gradient is right.
    """
    black, around = diagnostics.order_warnings(
        {"end_to_end": evaluation_of(apgd=90, square=40, crossing=5)}
    )
    assert "black-box beats white-box: Square fools 0.5000" in black
    assert "attacks around them (crossing) fool 0.8500" in around
    # A search among what the decoder draws takes no steps along the gradient that is in question.
    assert (
        diagnostics.order_warnings({"end_to_end": evaluation_of(overpowered=20, crossing=5)}) == []
    )
    # Without an attack along the exact gradient there are those around it.
    assert diagnostics.order_warnings({"end_to_end": evaluation_of(bpda=40, square=45)}) == []
    (line,) = diagnostics.order_warnings({"end_to_end": evaluation_of(bpda=50, square=40)})
    assert "Square fools 0.1000 of its images, and no attack along a gradient any of those" in line
    for only in ("eot", "overpowered"):
        (line,) = diagnostics.order_warnings({"end_to_end": evaluation_of(**{only: 50}, square=40)})
        assert "Square fools 0.1000" in line
