"""Did it help? The figures of a fitted defence, and its own `evaluate`."""

import numpy as np
import pytest

import madvae_tf
from madvae_tf.api import figures
from madvae_tf.attacks import FGSM, DefendedModel, run_attack
from madvae_tf.evaluation import Suite, System, Threat, Trial
from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.utils.errors import UserError

ONE = Suite("own", (Trial("fgsm", FGSM(epsilon=0.2)),))


def cell(accuracy, n=60):
    low, high = wilson_interval(round(accuracy * n), n)
    return {"accuracy": accuracy, "ci_low": low, "ci_high": high, "n": n}


def made(aware, unaware=0.85):
    alone = {"clean": cell(0.95), "unaware": cell(0.0), "aware": cell(0.0)}
    return {
        **{"n": 60, "threats": ["linf:0.3"], "attack": "APGD", "seed": 0, "classifier": alone},
        "defense": {"clean": cell(0.9), "unaware": cell(unaware), "aware": cell(aware)},
    }


def test_the_figures_are_those_of_held_out_images(fitted, toy):
    defense, classifier, _ = fitted
    images, labels = toy.squares()
    found = defense.info["figures"]
    assert "not_measured" not in found, found
    held, truth = images[-4:], labels[-4:]
    # Of the budgets that it learnt from.
    assert (found["n"], found["threats"]) == (4, ["linf:0.2"])
    for row, predicted in (
        ("classifier", classifier.predict(held / np.float32(255), verbose=0).argmax(axis=1)),
        ("defense", defense.predict(held)),
    ):
        clean, unaware, aware = (
            found[row][name]["accuracy"] for name in ("clean", "unaware", "aware")
        )
        assert clean == np.mean(predicted == truth) and clean >= unaware >= aware
    low, high = wilson_interval(round(4 * found["defense"]["clean"]["accuracy"]), 4)
    assert (found["defense"]["clean"]["ci_low"], found["defense"]["clean"]["ci_high"]) == (
        low,
        high,
    )
    # A linear model at L-infinity 0.2: the margin over each class falls by 0.2 times the L1 norm of
    # the difference of templates.
    weights = toy.templates().astype(np.float64)
    x = held.reshape(4, 784) / 255.0
    margins = []
    for row, label in zip(x, truth, strict=True):
        gaps = []
        for other in set(range(10)) - {label}:
            slope = weights[:, label] - weights[:, other]
            # The box holds a pixel back.
            gaps.append(slope @ np.clip(row - 0.2 * np.sign(slope), 0, 1))
        margins.append(min(gaps))
    assert found["classifier"]["aware"]["accuracy"] == np.mean(np.array(margins) > 0)


def test_the_line_says_what_to_do_where_it_did_not_help():
    line = figures.line(made(aware=0.05), "combined")
    assert (
        "behind the purifier 0.900 [0.799, 0.953] | 0.850 [0.739, 0.919] | 0.050 [0.017, 0.137]"
        in line
    )
    assert (
        "n = 60, linf:0.3" in line
        and line.endswith("use madvae_tf.fit_robust.")
        and "\n" not in line
    )
    assert figures.line(made(aware=0.05), "robust").endswith(
        "train longer (epochs) or on more images."
    )
    assert figures.advice(made(aware=0.5), "combined") == ""


def test_a_figure_that_cannot_be_measured_does_not_cost_the_training():
    def broken(x):
        raise ValueError("two\nlines")

    system = System(DefendedModel(broken), name="own")
    images, labels = np.zeros((4, 28, 28, 1), np.uint8), np.zeros(4, int)
    found = figures.measure(system, broken, images, labels, [Threat("linf", 0.3)], 0)
    assert list(found) == ["not_measured"] and "two lines" in found["not_measured"]
    assert (
        "was not measured: " in figures.line(found, "pd")
        and figures.short(found) == figures.to_html(found) == ""
    )


def test_a_defence_says_what_it_is(fitted, tmp_path):
    defense, _, _ = fitted
    known = defense.info["figures"]["defense"]
    assert repr(defense) == (
        "<FittedDefense combined, images (28, 28, 1) -> 10 classes; held out, n = 4, linf:0.2: "
        + ", ".join(
            f"{name} {known[name]['accuracy']:.3f}" for name in ("clean", "unaware", "aware")
        )
        + ">"
    )
    page = defense._repr_html_()
    assert page.count("<td>") == 6 and "behind the purifier" in page and "&lt;FittedDefense" in page
    defense.save(tmp_path / "defense")
    loaded = madvae_tf.load(tmp_path / "defense")
    assert repr(loaded) == repr(defense) and loaded.info["figures"] == defense.info["figures"]
    bare = madvae_tf.FittedDefense(defense.purifier, None, {})
    assert repr(bare) == "<FittedDefense purifier, images (28, 28, 1)>"
    assert bare._repr_html_() == "<p>&lt;FittedDefense purifier, images (28, 28, 1)&gt;</p>"


@pytest.mark.parametrize("threat_model", ["oblivious", "end_to_end"])
def test_a_defence_evaluates_itself(fitted, toy, threat_model):
    defense, _, _ = fitted
    images, labels = toy.squares(24, seed=9)
    found = defense.evaluate(images, labels, suites=ONE, threat_model=threat_model, progress=False)
    np.testing.assert_array_equal(found.clean, defense.predict(images) == labels)
    whole = lambda x: defense.classifier(defense.purifier.purify(x))  # noqa: E731
    target = DefendedModel(whole if threat_model == "end_to_end" else defense.classifier)
    attacked = run_attack(FGSM(epsilon=0.2), target, images / np.float32(255), labels, (0, 0), 24)
    # FGSM draws nothing; a pixel whose gradient is nearly 0 may step the other way in the folded
    # copy.
    expected = found.clean & (defense.predict(attacked.x_adv) == labels)
    assert np.sum(found.worst != expected) <= 1
    assert (found.threat_model, found.model) == (threat_model, "combined")


def test_what_a_defence_cannot_evaluate(fitted, toy):
    images, labels = toy.squares(4)
    with pytest.raises(UserError, match="Invalid threat_model: received 'white'"):
        fitted[0].evaluate(images, labels, threat_model="white")
    bare = madvae_tf.FittedDefense(fitted[0].purifier, None, {})
    with pytest.raises(UserError, match="has no classifier"):
        madvae_tf.evaluate(bare, images, labels)
