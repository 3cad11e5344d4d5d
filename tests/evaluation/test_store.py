"""Which file is a trial's: that of the same label, key and models, however the machine rounds."""

import json

import numpy as np
import pytest

from madvae_tf.evaluation.__main__ import main
from madvae_tf.evaluation.rows import accuracy_row
from madvae_tf.evaluation.store import Progress, TrialFile
from madvae_tf.utils.errors import UserError

KEY = "0123456789abcdef0123"
LOGITS = np.random.default_rng(0).normal(scale=5, size=(4, 10)).astype(np.float32)


def progress(*robust):
    return Progress(np.array(robust), np.zeros(len(robust), bool), np.array([sum(robust)]))


def test_another_machine_finds_it_and_another_model_does_not(tmp_path):
    TrialFile(tmp_path, "pgd", KEY, LOGITS).save(progress(True, False))
    rounded = LOGITS * np.float32(1 + 3e-6)
    assert (rounded != LOGITS).any()
    for same in (LOGITS, rounded):
        assert TrialFile(tmp_path, "pgd", KEY, same).load(2).robust.tolist() == [True, False]
    for other in (LOGITS * np.float32(1.01), LOGITS[:3], LOGITS.astype(np.float64)):
        assert TrialFile(tmp_path, "pgd", KEY, other).load(2) is None
    assert TrialFile(tmp_path, "pgd", "1" * 20, LOGITS).load(2) is None
    assert TrialFile(tmp_path, "apgd", KEY, LOGITS).load(2) is None
    assert TrialFile(None, "pgd", KEY, LOGITS).load(2) is None


def test_another_gradient_of_the_same_logits_is_another_trial(tmp_path):
    reference_gradients = np.random.default_rng(1).normal(size=(3, 784)).astype(np.float32)
    TrialFile(tmp_path, "pgd", KEY, LOGITS, reference_gradients).save(progress(True, False))
    # A machine's rounding, the size and one ReLU's kink leave the way as it is.
    kink = reference_gradients.copy()
    kink[0] += np.float32(0.01) * reference_gradients[1]
    for same in (reference_gradients, reference_gradients * np.float32(1.5), kink):
        assert TrialFile(tmp_path, "pgd", KEY, LOGITS, same).load(2) is not None
    turned, blind = reference_gradients.copy(), reference_gradients.copy()
    turned[2], blind[2] = reference_gradients[2] + 0.1 * reference_gradients[0], 0
    for other in (turned, blind, -reference_gradients, reference_gradients[:2]):
        assert TrialFile(tmp_path, "pgd", KEY, LOGITS, other).load(2) is None
    zero = np.zeros_like(reference_gradients)
    TrialFile(tmp_path, "pgd", KEY, LOGITS, zero).save(progress(False, False))
    assert TrialFile(tmp_path, "pgd", KEY, LOGITS, zero).load(2).robust.tolist() == [False, False]
    assert TrialFile(tmp_path, "pgd", KEY, LOGITS, reference_gradients).load(2).robust.tolist() == [
        True,
        False,
    ]


def test_a_trial_without_gradients_is_found_whatever_gradient_its_file_holds(tmp_path):
    reference_gradients = np.ones((3, 784), np.float32)
    TrialFile(tmp_path, "square", KEY, LOGITS, reference_gradients).save(progress(True, False))
    assert TrialFile(tmp_path, "square", KEY, LOGITS).load(2).robust.tolist() == [True, False]
    TrialFile(tmp_path, "simba", KEY, LOGITS).save(progress(False, False))
    assert TrialFile(tmp_path, "simba", KEY, LOGITS, reference_gradients).load(2) is None


def test_two_models_have_a_file_each_and_what_goes_on_is_saved_where_it_began(tmp_path):
    other = LOGITS + 1
    for logits, robust in ((LOGITS, True), (other, False)):
        TrialFile(tmp_path, "pgd", KEY, logits).save(progress(robust))
    rounded = LOGITS * np.float32(1 - 3e-6)
    TrialFile(tmp_path, "pgd", KEY, rounded).save(progress(False))
    assert len(list(tmp_path.iterdir())) == 2
    assert not TrialFile(tmp_path, "pgd", KEY, LOGITS).load(1).robust[0]


def test_a_label_is_no_pattern(tmp_path):
    """Labels such as "joint_apgd@-0.1" go into names; one with brackets must not match another's
    file.
    """
    TrialFile(tmp_path, "a", KEY, LOGITS).save(progress(True))
    assert TrialFile(tmp_path, "[a]", KEY, LOGITS).load(1) is None


@pytest.mark.parametrize("n", [1, 3])
def test_a_file_of_another_number_of_images_is_refused(tmp_path, n):
    TrialFile(tmp_path, "pgd", KEY, LOGITS).save(progress(True, False))
    with pytest.raises(UserError, match="another trial.*delete it and run again"):
        TrialFile(tmp_path, "pgd", KEY, LOGITS).load(n)


def test_what_a_stopped_evaluation_has_found_is_printed(tmp_path):
    below = tmp_path / "one.partial" / ".scratch" / "trials"
    robust, visited = np.array([True] * 9 + [False]), np.array([True] * 3 + [False] * 7)
    TrialFile(below, "joint_apgd@-0.1", KEY, LOGITS).save(
        Progress(robust, visited, np.array([10, 9]))
    )
    assert (
        main([str(tmp_path)])
        == "joint_apgd@-0.1: 2 runs finished, 3 images into the next; right 0.9000 [0.5958, 0.9821]"
        " n = 10"
    )


def test_a_finished_stage_prints_its_accuracies_and_areas(tmp_path):
    stage = tmp_path / "cls-linf-0.3-end_to_end-autoattack-1"
    stage.mkdir()
    common = {"dataset": "mnist", "threat_model": "end_to_end", "defense": "cls", "seed": 0}
    robust, ball = np.array([True] * 9 + [False]), {"norm": "linf", "epsilon": 0.3}
    rows = [
        accuracy_row(robust, "fab_t", common, {**ball, "after": "autoattack_standard"}),
        {**accuracy_row(robust, "fab_t", common, ball), "metric": "restart_share"},
        accuracy_row(robust, "pgd_curve", common, {**ball, "curve": "steps", "at": 10}),
        {**accuracy_row(robust, "simba", common, ball), "metric": "beyond_gradients_share"},
        accuracy_row(robust, "corruption", common, {"kind": "fog", "severity": 3}),
        {
            **accuracy_row(robust, "pgd", common, {**ball, "detector": "l1", "among": "fooling"}),
            **{"metric": "auc", "value": 0.25, "ci_low": None, "ci_high": None},
        },
    ]
    (stage / "rows.json").write_text(json.dumps(rows))
    # What lies beside the rows is no trial's.
    np.savez(stage / "right.npz", clean=robust)
    figures = "right 0.9000 [0.5958, 0.9821] n = 10"
    assert main([str(tmp_path)]).splitlines() == [
        f"cls, end_to_end, linf 0.3: autoattack_standard, then fab_t: {figures}",
        f"cls, end_to_end, linf 0.3 steps 10: pgd_curve: {figures}",
        (
            "cls, end_to_end, linf 0.3: simba: fools, and no gradient did,"
            f" {figures.removeprefix('right ')}"
        ),
        f"cls, end_to_end, fog 3: corruption: {figures}",
        "cls, end_to_end, linf 0.3 l1 fooling: pgd: AUC 0.2500 n = 10",
    ]
    (stage / "rows.json").write_text("[{}]")
    with pytest.raises(UserError, match="Damaged file of rows"):
        main([str(tmp_path)])


def test_nothing_to_print_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="No rows and no trials in"):
        main(["."])
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="Damaged file of a robustness trial"):
        main(["."])


def test_the_union_of_several_budgets_is_who_is_right_under_every_attack(tmp_path):
    clean = np.array([True] * 9 + [False])
    attacks = {"linf": {"pgd": [0, 1]}, "l2": {"crossing": [1, 4], "square": [9]}}

    def stage(name, settings, clean, fallen, attacked=10):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "manifest.json").write_text(json.dumps({"config": settings}))
        robust = {
            attack: clean & ~np.isin(np.arange(10), which) for attack, which in fallen.items()
        }
        np.savez(folder / "right.npz", clean=clean, attacked=np.arange(10) < attacked, **robust)

    own = {"dataset": "mnist", "defense": "robust", "seed": 0}
    for norm, fallen in attacks.items():
        stage(norm, own, clean, fallen)
    assert (
        main(["--union", str(tmp_path)])
        == "robust, all of l2, linf: right 0.6000 [0.3127, 0.8318] n = 10"
    )
    assert main(["--union", str(tmp_path / "l2")]).endswith(
        "all of l2: right 0.7000 [0.3968, 0.8922] n = 10"
    )
    # Six of the ten met EOT: what it would leave of the others is not known.
    stage("eot", own, clean, {"eot": [0]}, attacked=6)
    line = main(["--union", str(tmp_path / "l2"), str(tmp_path / "eot")])
    assert line.endswith("right 0.6000 [0.3127, 0.8318] n = 10, an upper bound")
    for name, settings, images in (
        ("cls", {**own, "defense": "cls"}, clean),
        ("other", own, clean[::-1]),
    ):
        stage(name, settings, images, {"pgd": []})
        with pytest.raises(
            UserError, match=f"Invalid folders: {name} is of another defence or other images"
        ):
            main(["--union", str(tmp_path / "l2"), str(tmp_path / name)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="No finished attack in"):
        main(["--union", str(tmp_path / "empty")])
