"""`benchmark`: its figures are `evaluate`'s, its file has RobustBench's fields, and it goes on."""

import json

import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.evaluation import benchmarking as module
from madvae_tf.utils.errors import UserError

RNG = np.random.default_rng(3)
WEIGHTS = tf.constant(RNG.normal(0, 0.05, (784, 10)), tf.float32)
IMAGES = RNG.random((24, 28, 28, 1), np.float32)


def linear(x):
    return tf.reshape(x, (-1, 784)) @ WEIGHTS


# Three of four images are right without an attack.
LABELS = np.where(np.arange(24) % 4, np.argmax(linear(IMAGES), axis=1), 0)
OPTIONS = {"threat": "linf:0.004", "preset": "fast", "progress": False, "seed": 3}


def test_the_file_has_the_figures_and_the_fields(tmp_path):
    found = madvae_tf.benchmark(
        linear,
        (IMAGES, LABELS),
        n=12,
        name="a linear model",
        kind="none",
        to_disk=tmp_path,
        authors="Somebody",
        **OPTIONS,
    )
    # The first, the last, and what lies nearest to even steps between them.
    rows = [0, 2, 4, 6, 8, 10, 13, 15, 17, 19, 21, 23]
    expected = madvae_tf.evaluate(linear, IMAGES[rows], LABELS[rows], **OPTIONS)
    np.testing.assert_array_equal(found.evaluation.worst, expected.worst)
    path = tmp_path / "model_info" / "given" / "Linf" / "a-linear-model.json"
    info = json.loads(path.read_text())
    assert info == json.loads(json.dumps(found.model_info))
    assert info["clean_acc"] == f"{100 * (expected.clean).mean():.2f}"
    assert info["robust_acc"] == f"{100 * expected.worst.mean():.2f}"
    assert found.robust_accuracy == expected.worst.mean() < found.clean_accuracy
    named = ("model", "eps", "n", "images", "authors", "number_forward_passes", "dataset")
    assert [info[name] for name in named] == [
        *("a linear model", "0.004", 12, 24, "Somebody", "1", "given")
    ]
    # Not AutoAttack's standard set: no figure under its name.
    assert "autoattack_acc" not in info and info["attacks"] == ["fast"]
    results = json.loads(
        (tmp_path / "results" / "given" / "Linf" / "a-linear-model.json").read_text()
    )
    assert results["n"] == 12 and results["worst_case"]["accuracy"] == expected.worst.mean()


def test_the_same_call_goes_on_from_the_files(tmp_path, monkeypatch):
    options = {**OPTIONS, "n": 8, "to_disk": tmp_path}
    first = madvae_tf.benchmark(linear, (IMAGES, LABELS), **options)
    monkeypatch.setattr(
        "madvae_tf.evaluation.trials.run_attack", lambda *_: pytest.fail("attacked once more")
    )
    again = madvae_tf.benchmark(linear, (IMAGES, LABELS), **options)
    np.testing.assert_array_equal(again.evaluation.worst, first.evaluation.worst)


def test_a_stronger_attack_beside_the_standard_set_is_external():
    from madvae_tf.evaluation import Evaluation, Outcome, auto_attack, score, threat_of

    clean = np.array([True, True, True, True, False])
    standard, other = auto_attack(), score()
    left = np.array([True, True, True, False, False])
    further = np.array([True, True, False, False, False])
    outcomes = [Outcome(standard, trial, left, (3,)) for trial in standard.trials]
    outcomes.append(Outcome(other, other.trials[0], further, (2,)))
    threat = threat_of("linf:0.3")
    info = module.model_info(Evaluation(clean, tuple(outcomes)), threat, {})
    assert (info["clean_acc"], info["autoattack_acc"]) == ("80.00", "60.00")
    assert (info["external"], info["robust_acc"]) == ("40.00", "40.00")
    info = module.model_info(Evaluation(clean, tuple(outcomes[:-1])), threat, {})
    assert "external" not in info and info["robust_acc"] == "60.00"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "mnsit"}, "Unknown dataset 'mnsit'"),
        ({"kind": "magic"}, "Invalid kind"),
        ({"author": "A"}, "Invalid field 'author'"),
        ({"n": -1}, "n: received -1"),
    ],
    ids=["dataset", "kind", "field", "n"],
)
def test_what_is_wrong_is_said_before_anything_runs(options, message):
    given = {"dataset": (IMAGES, LABELS), **options}
    with pytest.raises(UserError, match=message) as caught:
        madvae_tf.benchmark(linear, **given)
    assert "\n" not in str(caught.value)
