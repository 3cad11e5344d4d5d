"""What an attack costs, counted; and what is still to be done as images fall."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import FGSM, DefendedModel
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.fab import FAB
from madvae_tf.attacks.repeated import runs_of
from madvae_tf.attacks.square import Square
from madvae_tf.evaluation import Suite, Trial, evaluate
from madvae_tf.evaluation.cost import Course, Speed, passes
from madvae_tf.utils.progress import silent


@pytest.mark.parametrize(
    "attack",
    [
        APGD(epsilon=0.01, iterations=6),
        RestartedPGD(epsilon=0.01, iterations=6, step_size=0.01, restarts=1),
        FAB(epsilon=0.01, iterations=6, targets=1),
        Square(epsilon=0.01, queries=40),
    ],
    ids=lambda attack: attack.name,
)
def test_passes_are_what_the_model_is_asked(line, attack):
    """An image that does not fall; a start, an end and the choice of a goal cost a few passes more,
    and Square does not ask for what changes nothing.
    """
    asked = tf.Variable(0)

    def logits(x):
        asked.assign_add(1)
        return line.logits(x)

    x, y = tf.constant(line.images[3:4]), tf.constant(line.labels[3:4])
    (run,) = runs_of(attack)
    run(DefendedModel(logits), x, y, (0, 0))
    told = sum(passes(attack))
    assert (told if attack.name != "square" else told / 4) <= asked.numpy() <= told + 6


RIGHT = np.array([True] * 8 + [False])


class Bar:
    """What tqdm's bar is told."""

    def __init__(self):
        self.n = self.total = 0.0

    def set_description(self, text, refresh):
        self.text = text

    def set_postfix_str(self, text, refresh):
        self.after = text

    def update(self, more):
        self.n += more


def test_what_is_left_follows_what_falls():
    """Two runs of 10 gradients each, then in the same sequence one of 5; a gradient of a batch of
    4, however full, takes 8 s.
    """
    trials = (
        Trial("pgd", RestartedPGD(iterations=10, restarts=2)),
        Trial("apgd", APGD(iterations=5)),
    )
    speeds = {"exact": Speed(1.0, 8.0)}
    course = Course([Suite("one", trials, sequential=True)], speeds, RIGHT, batch_size=4)
    course._bar = bar = Bar()
    course.begin(0)
    course.advance(0, 8, 8, 0)
    assert (bar.n, bar.total) == (0, 400) and bar.text == "attack 1 of 2, pgd"
    # The first half of the run: three of four images fall.
    course.advance(0, 4, 5, 4)
    assert bar.n == 80 and bar.total - bar.n == 80 + 2 * (80 + 40)
    assert bar.after == "5 of 8 images still right"
    # A file has the whole of the next run but one image.
    course.advance(1, 1, 2, 0)
    assert bar.n == 80 and bar.total - bar.n == 80 + 40
    course.begin(1)
    course.advance(0, 0, 2, 2)
    assert bar.n == 120 and bar.total == bar.n and bar.text == "attack 2 of 2, apgd"


def test_attacks_of_other_suites_meet_all_images():
    suites = [Suite(name, (Trial("apgd", APGD(iterations=5)),)) for name in ("one", "two")]
    course = Course(suites, {"exact": Speed(1.0, 4.0)}, RIGHT, batch_size=4)
    course._bar = bar = Bar()
    course.begin(0)
    course.advance(0, 0, 1, 8)
    assert bar.total - bar.n == 8 * 5


@pytest.fixture
def terminal(monkeypatch):
    """Bars are drawn on terminals only."""
    monkeypatch.setattr("madvae_tf.utils.progress._lively", lambda: True)


def test_what_the_folder_has_is_neither_announced_nor_shown(capsys, terminal):
    """The second attack of three, each 20 s for a batch: one image is left of its run, and the
    third may meet 4.
    """
    trials = tuple(Trial(name, APGD(iterations=5)) for name in ("one", "two", "three"))
    course = Course(
        [Suite("own", trials, sequential=True)],
        {"exact": Speed(1.0, 4.0)},
        RIGHT,
        4,
        announced=True,
    )
    course.begin(0)
    with course:
        assert capsys.readouterr().err == ""
        course.begin(1)
        course.advance(0, 1, 4, 0)
    said = capsys.readouterr().err
    assert "9 images, 8 right without an attack; to run: two, three; at most about 40 s" in said
    assert "attack 2 of 3, two:   0%" in said


@pytest.mark.parametrize("progress", [True, "bar", False])
def test_the_cost_is_said_before_the_bar(line, capsys, terminal, progress):
    suite = Suite("own", (Trial("fgsm", FGSM(epsilon=0.08)),))
    evaluate(line.logits, line.images, line.labels, suite, progress=progress)
    said = capsys.readouterr().err
    assert ("evaluate: 6 images, 5 right without an attack; to run: fgsm; at most" in said) == (
        progress is True
    )
    assert ("attack 1 of 1, fgsm" in said and "100%" in said) == bool(progress)
    assert said.find("evaluate:") <= said.find("attack 1 of 1")
    with silent():
        found = evaluate(line.logits, line.images, line.labels, suite)
    assert capsys.readouterr().err == "" and np.sum(found.worst) == 2
