"""What an evaluation says of itself: figures by hand, files that are read again, images that were
kept.
"""

import csv
import io
import json

import numpy as np
import pytest

from madvae_tf.attacks import FGSM
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.corruptions import Corruption
from madvae_tf.evaluation import Evaluation, Outcome, Suite, Trial, evaluate
from madvae_tf.evaluation.__main__ import main
from madvae_tf.report import validate_rows
from madvae_tf.utils.errors import UserError

CLEAN = np.array([True] * 9 + [False])
FIRST = np.array([False] * 2 + [True] * 7 + [False])
SECOND = np.array([False] * 2 + [True] * 2 + [False] + [True] * 4 + [False])
# Wilson's 95% interval of 9, 7 and 6 of 10, by hand.
INTERVALS = {0.9: (0.5958, 0.9821), 0.7: (0.3968, 0.8922), 0.6: (0.3127, 0.8318)}


def evaluation(**more):
    trials = (
        Trial("apgd_ce", APGD(epsilon=0.3)),
        Trial("apgd_margin", APGD(epsilon=0.3, loss="margin")),
    )
    suite = Suite("own", trials)
    images = [np.full((10, 2, 2, 1), value, np.float32) for value in (0.25, 0.75)]
    outcomes = [
        Outcome(suite, trial, robust, (int(robust.sum()),), x_adv=x_adv)
        for trial, robust, x_adv in zip(trials, (FIRST, SECOND), images, strict=True)
    ]
    return Evaluation(CLEAN, tuple(outcomes), model="mine", seed=3, **more)


def test_rows_have_budget_interval_and_threat_model():
    rows = evaluation().rows()
    assert [row["attack"] for row in rows] == ["none", "apgd_ce", "apgd_margin", "worst_case"]
    assert [row["accuracy"] for row in rows] == [0.9, 0.7, 0.6, 0.6]
    for row in rows:
        assert (row["norm"], row["epsilon"], row["n"], row["seed"]) == ("linf", 0.3, 10, 3)
        assert (row["threat_model"], row["model"]) == ("end_to_end", "mine")
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(
            INTERVALS[row["accuracy"]], abs=1e-4
        )


def test_two_budgets_and_none_are_told_apart():
    suites = [
        Suite(str(eps), (Trial("apgd_ce", APGD(norm="l2", epsilon=eps)),)) for eps in (1.0, 2.0)
    ]
    suites.append(Suite("natural", (Trial("corruption", Corruption(kind="fog", severity=3)),)))
    found = Evaluation(CLEAN, tuple(Outcome(s, s.trials[0], FIRST, (7,)) for s in suites))
    assert found.threats == [("l2", 1.0), ("l2", 2.0)]
    assert [(row["norm"], row["epsilon"]) for row in found.rows()] == [
        *((None, None), ("l2", 1.0), ("l2", 2.0), (None, None), (None, None))
    ]


def test_json_and_csv_say_the_same():
    found = evaluation(warnings=("gradients vanish",))
    told = json.loads(found.to_json())
    assert told["worst_case"]["accuracy"] == 0.6 and told["clean"]["n"] == 10
    assert told["threats"] == [["linf", 0.3]] and told["warnings"] == ["gradients vanish"]
    assert "masks" not in told
    masks = found.to_dict(masks=True)["masks"]
    assert masks["own: apgd_margin"] == SECOND.tolist() and masks["none"] == CLEAN.tolist()
    # The rows are those of a results.json, but for the names that only a run of the pipeline has.
    validate_rows([{**row, "defense": "none"} for row in told["rows"]])
    lines = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [(line["attack"], float(line["accuracy"])) for line in lines] == [
        (row["attack"], row["value"]) for row in told["rows"]
    ]


def test_people_see_figures_and_warnings():
    found = evaluation(warnings=("gradients vanish",))
    assert (
        repr(found)
        == "<Evaluation of mine: clean 0.9000 [0.5958, 0.9821], worst case 0.6000 [0.3127, 0.8318],"
        " n = 10, L-infinity 0.3, end_to_end, 1 warnings: see .summary()>"
    )
    assert str(found).splitlines()[-1] == "warning: gradients vanish"
    page = found._repr_html_()
    assert page.count("<tr") == 5 and "0.600" in page and "<li>gradients vanish</li>" in page
    latex = found.to_latex()
    assert r"\toprule" in latex and "0.700 {\\scriptsize \\ensuremath{\\pm} 0.248}" in latex


def test_names_are_text_in_html_and_latex():
    found = Evaluation(CLEAN, evaluation().outcomes, model="<b>_&")
    assert "<b>_&" not in found._repr_html_() and "&lt;b&gt;_&amp;" in found._repr_html_()
    assert r"\textless{}b\textgreater{}\_\&" in found.to_latex()


def test_the_picture_has_a_bar_for_each_row(tmp_path):
    figure = evaluation().plot(tmp_path / "bars.png")
    (axes,) = figure.axes
    assert [bar.get_width() for bar in axes.patches] == [0.9, 0.7, 0.6, 0.6]
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_saved_and_printed_again(tmp_path):
    found = evaluation()
    found.save(tmp_path / "deep" / "found.json", arrays=True)
    assert (
        main([str(tmp_path / "deep" / "found.json")]).splitlines()[-1]
        == "mine, end_to_end, linf 0.3: worst_case: right 0.6000 [0.3127, 0.8318] n = 10"
    )
    with np.load(tmp_path / "deep" / "found.npz") as file:
        np.testing.assert_array_equal(file["own: apgd_ce"], FIRST)
        np.testing.assert_array_equal(file["x_adv"], found.x_adv)
    with pytest.raises(UserError, match="Cannot write .*expected a file in a writable folder"):
        found.save(tmp_path / "deep" / "found.json" / "below.json")


def test_the_image_that_fooled_first_is_the_one_that_counts():
    first, second = ~FIRST & CLEAN, FIRST & ~SECOND
    x_adv = evaluation().x_adv
    assert (x_adv[first] == 0.25).all() and (x_adv[second] == 0.75).all()
    bare = [Outcome(o.suite, o.trial, o.robust, o.n_robust) for o in evaluation().outcomes]
    with pytest.raises(UserError, match="keep_images=True"):
        _ = Evaluation(CLEAN, tuple(bare)).x_adv


def test_kept_images_fool_and_come_back_from_the_folder(line, tmp_path, monkeypatch):
    suites = [Suite("own", (Trial("fgsm", FGSM(epsilon=0.08)),))]
    call = lambda: evaluate(  # noqa: E731
        line.logits,
        line.images,
        line.labels,
        suites,
        folder=tmp_path,
        keep_images=True,
        progress=False,
    )
    found = call()
    fell = found.clean & ~found.worst
    assert fell.tolist() == [True, True, False, False, True, False]
    predicted = line.logits(found.x_adv).numpy().argmax(axis=1)
    np.testing.assert_array_equal(predicted == line.labels, found.worst)
    moved = np.abs(found.x_adv - line.images).max(axis=(1, 2, 3))
    assert (moved[fell] <= 0.08 + 1e-6).all() and (moved[~fell] == 0).all()
    monkeypatch.setattr(
        "madvae_tf.evaluation.trials.run_attack", None
    )  # Nothing is attacked again.
    np.testing.assert_array_equal(call().x_adv, found.x_adv)
