"""Where no budget is named, the images say which; one that is unusual for them is said."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.api.pairs import training_attacks, validation_attacks
from madvae_tf.attacks import APGD, FGSM
from madvae_tf.evaluation import Suite, Trial, evaluate
from madvae_tf.evaluation.validation import suites_of
from madvae_tf.utils.budgets import usual_budget

RNG = np.random.default_rng(0)
GREY = RNG.uniform(0.2, 0.8, (4, 28, 28, 1)).astype(np.float32)
BINARY = RNG.integers(0, 2, (4, 28, 28, 1)).astype(np.float32)
COLOUR = RNG.uniform(0, 1, (4, 28, 28, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("images", "epsilon", "text"),
    [(BINARY, 0.3, "0.3"), (GREY, 0.1, "0.1"), (COLOUR, 8 / 255, "8/255")],
)
def test_the_default_budget_is_the_images(images, epsilon, text):
    (suite,), note = suites_of(None, None, "fast", {}, "", usual_budget(images))
    assert {trial.attack.epsilon for trial in suite.trials} == {epsilon}
    assert note.startswith(f"the budget, L-infinity {text}, is the usual one")
    for threat, own, expected in (("linf:0.2", "", 0.2), (None, "linf:0.05", 0.05)):
        (suite,), note = suites_of(None, threat, "fast", {}, own, usual_budget(images))
        assert {trial.attack.epsilon for trial in suite.trials} == {expected} and not note


def test_an_unusual_budget_is_a_warning_on_the_result():
    def logits(x):
        return tf.reshape(x, (len(x), -1))[:, :10]

    def said(images, epsilon):
        suite = Suite("own", (Trial("fgsm", FGSM(epsilon=epsilon)),))
        found = evaluate(logits, images, [0, 1, 2, 3], suite, progress=False)
        return [line for line in found.warnings if "is usual for" in line]

    (line,) = said(COLOUR, 0.3)
    assert "budget of 0.3 is unusually large for these images: 8/255 is usual" in line
    assert said(GREY, 0.3) and not said(BINARY, 0.3) and not said(COLOUR, 4 / 255)


def test_attacks_to_learn_from_are_in_proportion():
    """A third of the paper's budgets for a budget of 0.1; CW's confidence is none in pixels."""
    paper, third = training_attacks(45), training_attacks(45, 0.1)
    assert [a.epsilon for a in paper[:6]] == [0.25, 0.25, 0.3, 0.3, 0.35, 0.35]
    assert [a.epsilon for a in third[:6]] == pytest.approx([a.epsilon / 3 for a in paper[:6]])
    assert [a.alpha for a in third[1:6:2]] == pytest.approx([0.05 / 3] * 3)
    assert third[6:] == paper[6:]
    assert validation_attacks(45, 0.1)[0].epsilon == pytest.approx(0.275 / 3)
    assert validation_attacks(45, 0.3) == validation_attacks(45)


def test_notes_reach_the_summary_and_the_json(monkeypatch):
    def logits(x):
        return tf.reshape(x, (len(x), -1))[:, :10]

    short = Suite("fast", (Trial("apgd", APGD(epsilon=0.1, iterations=2)),))
    monkeypatch.setattr(
        "madvae_tf.evaluation.presets.PRESETS", {"fast": lambda threat, crossable: [short]}
    )
    found = evaluate(logits, GREY, [0, 1, 2, 3], preset="fast", progress=False)
    assert len(found.notes) == 1 and found.to_dict()["notes"] == list(found.notes)
    assert f"note: {found.notes[0]}" in found.summary()
