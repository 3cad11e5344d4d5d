"""The stages that attack whole systems, on a linear classifier whose robustness is known image by
image.
"""

import numpy as np
import pytest

from madvae_tf.data.prepare import Split
from madvae_tf.models.defended_model import DefendedModel, purified
from madvae_tf.utils.errors import UserError
from pipeline.steps import robustness
from tests.pipeline.linear import SPLIT, SYSTEMS, classifier, runner, shrink


@pytest.fixture
def run(monkeypatch, tmp_path):
    return runner(monkeypatch, tmp_path)


def values(rows):
    return {row["attack"]: row["value"] for row in rows if row["metric"] == "accuracy"}


def attack(run, tmp_path, threat_model, suite, defense="shrink", **more):
    inputs = {"defense": tmp_path / defense, **more.pop("inputs", {})}
    name = f"{defense}-{threat_model}-{suite}"
    return run(
        robustness.attack_system,
        name,
        inputs,
        defense="vanilla",
        threat_model=threat_model,
        suite=suite,
        **more,
    )


@pytest.mark.parametrize("suite", ["gradient", pytest.param("autoattack", marks=pytest.mark.slow)])
def test_end_to_end_knows_where_the_boundary_is(run, tmp_path, suite):
    rows, warnings, folder, _ = attack(run, tmp_path, "end_to_end", suite)
    # Means 0.576, 0.678, 0.780, 0.882 against a boundary at 0.4, budget 0.15: none falls; the bare
    # classifier loses one.
    assert set(values(rows).values()) == {1.0} and warnings == []
    assert len(rows) == (4 if suite == "gradient" else 5) and {row["n"] for row in rows} == {4}
    bare = run(
        robustness.attack_system,
        f"bare-{suite}",
        {},
        defense="none",
        threat_model="end_to_end",
        suite=suite,
    )
    assert set(values(bare[0]).values()) == {0.75}
    with np.load(bare[2] / "right.npz", allow_pickle=False) as file:
        assert file["clean"].all() and all(
            not file[name][0] and file[name][1:].all() for name in file if name != "clean"
        )
    assert (folder / ".scratch" / "trials").is_dir()


def test_a_transfer_attack_climbs_its_surrogate(run, tmp_path):
    """At 0.25 the system falls for the first image only; a surrogate with another slope leads the
    same way.
    """
    inputs = {"surrogate": tmp_path / "steps"}
    more = {"epsilon": 0.25, "surrogate_parameters": {}}
    rows, *_ = attack(run, tmp_path, "transfer", "gradient", inputs=inputs, **more)
    # Rounding has no gradient, so the surrogate gives no direction and the attack stays at its
    # random start.
    assert set(values(rows).values()) == {1.0} and {row["threat_model"] for row in rows} == {
        "transfer"
    }
    rows, *_ = attack(run, tmp_path, "oblivious", "gradient", epsilon=0.25)
    assert set(values(rows).values()) == {0.75}


@pytest.mark.parametrize("suite", ["bpda", "bpda_squash"])
def test_a_transfer_attack_goes_around_its_surrogates_gradient(run, tmp_path, suite):
    """Through the rounding, which the surrogate has and the system has not; past the surrogate's
    boundary, which is nearer than the system's.
    """
    inputs = {"surrogate": tmp_path / "steps"}
    more = {"epsilon": 0.25, "surrogate_parameters": {}}
    rows, *_ = attack(run, tmp_path, "transfer", suite, inputs=inputs, **more)
    assert set(values(rows).values()) == {0.75} and {row["threat_model"] for row in rows} == {
        "transfer"
    }


@pytest.mark.parametrize("suite", ["bpda", "bpda_squash"])
def test_bpda_goes_through_what_has_no_gradient(run, tmp_path, suite):
    exact, *_ = attack(run, tmp_path, "end_to_end", "gradient", defense="steps")
    bpda, *_ = attack(run, tmp_path, "end_to_end", suite, defense="steps")
    assert set(values(exact).values()) == {1.0} and set(values(bpda).values()) == {0.75}
    assert all(name.startswith(f"{suite}_") for name in values(bpda))


@pytest.mark.parametrize("suite", ["latent", "eot"])
def test_attacks_on_the_code_find_what_the_budget_allows(run, tmp_path, monkeypatch, suite):
    # Validation images of ten classes: class 0 is bright, the others are darker the higher their
    # label.
    grey = np.linspace(200, 20, 10).astype(np.uint8)
    validation = Split(
        np.broadcast_to(grey[:, None, None, None], (10, 28, 28, 1)).copy(), np.arange(10)
    )
    monkeypatch.setattr(
        robustness, "splits_of", lambda context: {"test": SPLIT, "validation": validation}
    )
    rows, *_ = attack(run, tmp_path, "end_to_end", suite, defense="code", draws=2)
    found = values(rows)
    assert len(found) == 4 and all(name.startswith(f"{suite}_") for name in found)
    assert min(found.values()) == 0.75
    expected = {"latent": "latent", "eot": "expectation"}[suite]
    assert {row["parameters"]["gradient"] for row in rows} == {expected}


def test_the_overpowered_attack_is_a_suite_of_l2(run, tmp_path):
    # Grey images at L2 28 |mean - 0.5|: 2.1, 5.0, ...
    rows, *_ = attack(
        run,
        tmp_path,
        "end_to_end",
        "overpowered",
        defense="code",
        norm="l2",
        epsilon=4.0,
        iterations=60,
    )
    assert values(rows) == {"overpowered": 0.75}


@pytest.mark.parametrize("suite", ["bpda", "eot"])
def test_a_classifier_of_the_defence_s_own_is_the_one_behind_its_purifier(
    run, tmp_path, monkeypatch, suite
):
    """The frozen one answers the other way round: its gradient leads away from where the system
    falls.
    """
    monkeypatch.setattr(
        robustness, "load_classifier", lambda folder: lambda x, training=False: -classifier(x)
    )
    rows, *_ = attack(run, tmp_path, "end_to_end", suite, defense="code", draws=2)
    assert set(values(rows).values()) == {0.75}


def test_bpda_refuses_a_system_with_another_classifier(run, tmp_path, monkeypatch):
    other = DefendedModel(lambda images: 2 * classifier(images), purify=shrink)
    monkeypatch.setitem(SYSTEMS, "shrink", other)
    with pytest.raises(UserError, match="leave bpda out"):
        attack(run, tmp_path, "end_to_end", "bpda")


@pytest.mark.parametrize("suite", ["decision", "score", "joint"])
def test_further_suites_find_what_the_budget_allows(run, tmp_path, suite):
    """Means 0.576, 0.678, ... against a boundary at 0.5: at 0.15 the first falls, to whoever may
    ask for labels alone.
    """
    queries = {"decision": 2000, "score": 4000}.get(suite)
    numbers = {"queries": queries} if queries else {"weights": [0.01, -0.01]}
    rows, warnings, *_ = attack(run, tmp_path, "end_to_end", suite, defense="code", **numbers)
    names = {
        "decision": ["hop_skip_jump"],
        "score": ["spsa", "simba"],
        "joint": ["joint_pgd"] + 2 * ["joint_apgd"],
    }
    found = [row for row in rows if row["metric"] == "accuracy"]
    assert [row["attack"] for row in found] == names[suite] and warnings == []
    assert {row["value"] for row in found} == {0.75}
    if suite == "joint":
        assert [row["parameters"]["weight"] for row in found] == [0.01, 0.01, -0.01]
    else:
        assert all(row["parameters"]["queries"] <= queries for row in found)


def test_a_costly_suite_meets_a_part_of_the_images_and_the_worst_case_knows_which(run, tmp_path):
    whole = attack(run, tmp_path, "end_to_end", "gradient", defense="steps")
    part = attack(run, tmp_path, "end_to_end", "score", defense="steps", subset=2, queries=1569)
    # Rounding stops gradients; SimBA needs none. The first and the last of the four images are
    # attacked.
    assert set(values(whole[0]).values()) == {1.0} and values(part[0])["simba"] == 0.5
    assert {row["n"] for row in part[0]} == {2} and {row["n"] for row in whole[0]} == {4}
    with np.load(part[2] / "right.npz", allow_pickle=False) as file:
        assert file["attacked"].tolist() == [True, False, False, True] and file["clean"].all()
        assert file["simba"].tolist() == [False, True, True, True]
    parts = {"end_to_end:gradient": whole, "end_to_end:score": part}
    rows, warnings, *_ = run(
        robustness.take_worst,
        "worst-of-parts",
        {f"part:{label}": each[2] for label, each in parts.items()},
        defense="vanilla",
        parts={label: each[3] for label, each in parts.items()},
    )
    whole, met = (row for row in rows if row["attack"] == "worst_case")
    assert (whole["value"], whole["n"], whole["parameters"]["partial"]) == (
        0.75,
        4,
        "simba 2, spsa 2",
    )
    # Of the two that every attack met, one fell.
    assert (met["value"], met["n"], met["parameters"]["met"]) == (0.5, 2, "every attack")
    assert len(rows) == 5 and "partial" not in met["parameters"]
    alone = {row["attack"]: row for row in rows if row["metric"] == "beyond_gradients_share"}
    assert {name: (row["value"], row["n"]) for name, row in alone.items()} == {
        "spsa": (float(not np.load(part[2] / "right.npz")["spsa"][0]) / 2, 2),
        "simba": (0.5, 2),
    }
    # One of the two that were attacked, not of the four.
    assert any("SimBA fools 0.5000" in warning for warning in warnings)


def test_every_pixel_is_tried_on_the_whole_system(run, tmp_path, monkeypatch):
    """One black pixel lowers a mean by at most 0.001: only an image that near the boundary falls."""  # noqa: E501
    near = np.array([128, 147, 173, 199], np.uint8)
    split = Split(
        np.broadcast_to(near[:, None, None, None], (4, 28, 28, 1)).copy(), np.zeros(4, np.int64)
    )
    monkeypatch.setattr(robustness, "splits_of", lambda context: {"test": split})
    # 128 / 255 - 0.5 is 0.00196, more than one pixel can do, so the system darkens by 0.0015.
    monkeypatch.setitem(SYSTEMS, "shrink", purified(classifier, lambda images: images - 0.0015))
    rows, *_ = attack(run, tmp_path, "end_to_end", "one_pixel", norm="l0", epsilon=1.0)
    assert values(rows) == {"one_pixel": 0.75} and rows[0]["parameters"]["norm"] == "l0"
    assert rows[0]["parameters"]["exhaustive"]


def test_natural_rows_are_of_each_corruption(run, tmp_path):
    # A brighter image of class 0 stays what it is; noise keeps its mean.
    rows, *_ = run(robustness.attack_naturally, "natural", {}, defense="none", severities=[5])
    assert len(rows) == 2 + 11 and {row["table"] for row in rows} == {"natural"}
    found = {
        (row["attack"], row["parameters"].get("kind"), row["parameters"].get("severity")): row
        for row in rows
    }
    assert (
        found["none", None, None]["value"] == found["corruption", "brightness", 5]["value"] == 1.0
    )
    # Half as large, all four are darker than 0.5 in the mean.
    assert found["corruption", "scale", 5]["value"] == 0.0
    assert found["rotation_translation", None, None]["threat_model"] == "end_to_end"
    assert found["corruption", "fog", 5]["threat_model"] == "oblivious"


def test_the_worst_case_joins_all_parts(run, tmp_path):
    parts = {
        "oblivious:gradient": attack(run, tmp_path, "oblivious", "gradient", "steps"),
        "end_to_end:gradient": attack(run, tmp_path, "end_to_end", "gradient", "steps"),
        "end_to_end:autoattack": attack(
            run, tmp_path, "end_to_end", "autoattack", "steps", queries=300
        ),
    }
    rows, warnings, *_ = run(
        robustness.take_worst,
        "worst",
        {f"part:{label}": part[2] for label, part in parts.items()},
        defense="vanilla",
        parts={label: part[3] for label, part in parts.items()},
    )
    found = {
        (row["threat_model"], row["attack"], row["parameters"].get("over")): row["value"]
        for row in rows
    }
    (alone,) = [row for row in rows if row["metric"] == "beyond_gradients_share"]
    assert (alone["threat_model"], alone["attack"], alone["value"], alone["n"]) == (
        "end_to_end",
        "square",
        0.25,
        4,
    )
    # Square needs no gradient: what it finds is a black box's win over a masked gradient.
    square = values(parts["end_to_end:autoattack"][0])["square"]
    assert found == {
        ("oblivious", "none", None): 1.0,
        ("oblivious", "worst_case", None): 0.75,
        ("end_to_end", "none", None): 1.0,
        ("end_to_end", "worst_case", None): square,
        ("end_to_end", "square", None): 0.25,
        ("end_to_end", "worst_case", "oblivious+end_to_end"): 0.75,
    }
    assert (
        square == 0.75
        and len(warnings) == 1
        and warnings[0].startswith("vanilla, linf 0.15: black-box beats white-box")
    )


def test_sanity_sees_what_is_wrong(run, tmp_path):
    rows, warnings, *_ = run(robustness.check_sanity, "fine", {}, defense="none", epsilon=0.15)
    assert warnings == [] and len(rows) == 6 + 6 + 2
    assert {row["parameters"]["epsilon"] for row in rows} == {0.15}
    rows, warnings, *_ = run(
        robustness.check_sanity, "masked", {"defense": tmp_path / "steps"}, defense="vanilla"
    )
    for metric in ("zero_gradient_share", "faint_gradient_share"):
        assert [row["value"] for row in rows if row["metric"] == metric] == [1.0]
    assert any("gradients vanish" in warning for warning in warnings)


def test_sanity_in_l2_goes_to_where_every_image_can_be_grey(run, tmp_path):
    """Images are 28 |mean - 0.5| from the boundary: 2.1, 5.0, 7.8, 10.7."""
    rows, warnings, *_ = run(
        robustness.check_sanity, "l2", {}, defense="none", norm="l2", epsilon=4.0, iterations=10
    )
    curve = {
        row["parameters"]["at"]: row["value"]
        for row in rows
        if row["parameters"].get("curve") == "epsilon"
    }
    assert (
        curve == {0.0: 1.0, 2.0: 1.0, 4.0: 0.75, 6.0: 0.5, 8.0: 0.25, 14.0: 0.0} and warnings == []
    )


def test_sanity_goes_around_a_squash(run, tmp_path):
    rows, warnings, *_ = run(
        robustness.check_sanity,
        "squashed",
        {"defense": tmp_path / "steps"},
        defense="robust",
        squash=True,
    )
    assert values(rows)["bpda_squash_pgd_restarts"] == 0.75
    # Rounding has no gradient anywhere; the way around it has the same in every pixel.
    assert [row["value"] for row in rows if row["metric"] == "other_sign_share"] == [1.0]
    (line,) = [warning for warning in warnings if "PGD around the squash" in warning]
    assert "robust, linf 0.15: gradients mislead" in line and "0.2500" in line
