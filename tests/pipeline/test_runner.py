"""Keys, plan, skip, and what a change re-runs."""

import dataclasses
import json

import pytest

from madvae_tf.utils.errors import UserError
from pipeline.engine import artifacts
from pipeline.engine.plan import Stage, plan, plan_lines, with_inputs
from pipeline.engine.runner import run_stages


def keys(stages):
    return {stage.label: stage.key for stage in stages}


def changed(before, after):
    return {label for label in before if before[label] != after[label]}


def nothing(context):
    pass


EVERYTHING = {"make", "double left", "double right", "total"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, set()),
        ({"count": 4}, EVERYTHING),
        ({"version": 2}, EVERYTHING),
        ({"left": 5}, {"double left", "total"}),
        ({"right": 5}, {"double right", "total"}),
        ({"publish_to": "report"}, set()),
    ],
)
def test_keys_change_only_downstream_of_a_change(toy, change, expected):
    assert changed(keys(toy.stages()), keys(toy.stages(**change))) == expected


def test_key_depends_on_each_part_and_not_on_order_or_on_tuples():
    base = Stage("vae", "cls", 1, {"a": 1, "b": [1, 2]}, {}, nothing)
    assert Stage("vae", "cls", 1, {"b": (1, 2), "a": 1}, {}, nothing).key == base.key
    others = [
        Stage("attack", "cls", 1, {"a": 1, "b": [1, 2]}, {}, nothing),
        Stage("vae", "pd", 1, {"a": 1, "b": [1, 2]}, {}, nothing),
        Stage("vae", "cls", 2, {"a": 1, "b": [1, 2]}, {}, nothing),
        Stage("vae", "cls", 1, {"a": 1, "b": [2, 1]}, {}, nothing),
        Stage("vae", "cls", 1, {"a": 1, "b": [1, 2]}, {"x": base}, nothing),
        Stage("vae", "cls", 1, {"a": 1, "b": [1, 2]}, {"y": base}, nothing),
    ]
    assert len({base.key, *(stage.key for stage in others)}) == 7


def test_the_callers_dict_may_change_without_the_stage_noticing():
    config = {"weights": [1, 2]}
    stage = Stage("vae", "", 1, config, {}, nothing)
    config["weights"].append(3)
    assert stage.config == {"weights": [1, 2]}


@pytest.mark.parametrize(
    ("stage", "instance"), [("", ""), ("vae", "../x"), ("a/b", ""), ("vae", "-x")]
)
def test_names_that_cannot_be_folders_are_refused(stage, instance):
    with pytest.raises(ValueError, match="Invalid stage or instance name"):
        Stage(stage, instance, 1, {}, {}, nothing)


@pytest.mark.parametrize("value", [float("nan"), object()])
def test_config_that_json_cannot_hold_is_refused(value):
    with pytest.raises((ValueError, TypeError)):
        Stage("vae", "", 1, {"x": value}, {}, nothing)


def test_with_inputs_orders_each_stage_once_before_its_readers(toy):
    made, left, right, total = toy.stages()
    assert with_inputs([total, left]) == [made, left, right, total]
    assert with_inputs([left]) == [made, left]


def test_a_wrong_order_is_a_bug(toy, workdir):
    with pytest.raises(ValueError, match="comes before one of its inputs"):
        plan(toy.stages()[1:], workdir)


def test_first_run_makes_everything_and_the_second_nothing(toy, workdir, tree):
    summary = run_stages(toy.stages(), workdir)
    assert toy.calls == ["make", "left", "right", "total"]
    assert summary.executed == ["make", "double left", "double right", "total"]
    assert (summary.folder("total") / "total.txt").read_text() == "21"
    before = tree(workdir / "artifacts")
    again = run_stages(toy.stages(), workdir)
    assert again.executed == [] and len(toy.calls) == 4
    assert [step.state for step in again.steps] == ["done"] * 4
    assert tree(workdir / "artifacts") == before
    assert not list((workdir / "artifacts").rglob("*.partial"))


def test_changing_one_instance_runs_it_and_its_readers_only(toy, workdir):
    run_stages(toy.stages(), workdir)
    toy.calls.clear()
    summary = run_stages(toy.stages(left=5), workdir)
    assert toy.calls == ["left", "total"]
    assert (summary.folder("total") / "total.txt").read_text() == "33"
    toy.calls.clear()
    assert run_stages(toy.stages(), workdir).executed == []


def test_only_the_wanted_stages_run(toy, workdir):
    assert run_stages(with_inputs(toy.stages()[1:2]), workdir).executed == ["make", "double left"]


def test_manifest_says_what_was_made_from_what(toy, workdir):
    summary = run_stages(toy.stages(), workdir)
    folder = summary.folder("double left")
    manifest = json.loads((folder / "manifest.json").read_text())
    stage = summary.steps[1].stage
    assert folder.name == f"left-{stage.key[:12]}" and folder.parent.name == "double"
    assert manifest["key"] == stage.key and manifest["config"] == {"shift": 1}
    assert manifest["inputs"]["numbers"]["key"] == summary.steps[0].stage.key
    assert manifest["files"]["deep/doubled.txt"]["bytes"] == len("1 3 5")
    assert set(manifest["files"]) == {"deep/doubled.txt"}
    assert manifest["libraries"]["madvae_tf"] and manifest["libraries"]["numpy"]
    assert manifest["attempts"] == 1 and manifest["peak_memory_bytes"] > 1_000_000
    assert summary.seconds["double left"] == manifest["seconds"] >= 0


def test_lineage_lists_everything_upstream_once_and_first(toy, workdir):
    summary = run_stages(toy.stages(), workdir)
    found = artifacts.lineage([summary.folder("total"), summary.folder("double left")])
    assert [f"{entry['stage']} {entry['instance']}".strip() for entry in found] == [
        "make",
        "double left",
        "double right",
        "total",
    ]


def test_plan_says_reuse_resume_run_and_writes_nothing(toy, workdir, tree):
    stages = toy.stages()
    assert [step.state for step in plan(stages, workdir)] == ["run"] * 4
    assert not workdir.exists()
    run_stages(stages[:2], workdir)
    stages[2].partial(workdir).mkdir(parents=True)
    before = tree(workdir)
    steps = plan(stages, workdir)
    assert [step.state for step in steps] == ["done", "done", "resume", "run"]
    assert plan_lines(steps)[2] == f"[3/4] double right ({stages[2].key[:12]}): resume"
    assert [line.rsplit(": ")[-1] for line in plan_lines(steps)] == [
        "reuse",
        "reuse",
        "resume",
        "run",
    ]
    assert tree(workdir) == before


def test_a_stage_that_fails_leaves_a_partial_and_nothing_finished(toy, workdir):
    def broken(context):
        (context.folder / "half.txt").write_text("half")
        raise ZeroDivisionError("a bug")

    stages = toy.stages(total_run=broken)
    with pytest.raises(ZeroDivisionError):
        run_stages(stages, workdir)
    assert not stages[3].folder(workdir).exists()
    assert (stages[3].partial(workdir) / "half.txt").exists()


def test_a_stages_own_user_error_passes_unchanged(toy, workdir):
    def refuse(context):
        raise UserError("Received a, expected b.")

    with pytest.raises(UserError, match=r"^Received a, expected b\.$"):
        run_stages(toy.stages(total_run=refuse), workdir)


def test_a_plan_says_what_is_missing_and_what_it_may_cost(toy, workdir, caplog):
    stages = [
        dataclasses.replace(stage, cost=cost)
        for stage, cost in zip(toy.stages(), COSTS, strict=True)
    ]
    lines = plan_lines(plan(stages, workdir))
    endings = [line.rsplit(": ", 1)[-1] for line in lines[:-1]]
    assert endings == ["run", "run, about 50 s", "run, about 2 min", "run, about 60 min"]
    assert lines[-1] == "To run, about 63 min on two CPU cores."
    with caplog.at_level("INFO", logger="absl"):
        run_stages(stages, workdir)
    assert "4 to run, about 63 min in all." in caplog.text
    assert not any("about" in line for line in plan_lines(plan(stages, workdir)))


COSTS = (0.2, 50, 130, 3600)
