"""What a run says: plain names, numbers in the order of execution, an ETA from what was measured,
and runs of TensorBoard's by name.
"""

import logging
import os
import re
from pathlib import Path

import pytest
from tensorboard.backend.event_processing import event_multiplexer
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from madvae_tf.config.overrides import load_config
from madvae_tf.utils.progress import Moved
from pipeline.engine.display import Display
from pipeline.engine.plan import PlanStep, Stage, with_inputs
from pipeline.engine.publish import show_board
from pipeline.engine.runner import run_stages
from pipeline.engine.speed import Speed
from pipeline.engine.titles import board_of, title_of
from pipeline.graph.stages import STAGES, build_stages

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("stage", "instance", "title"),
    [
        ("vae", "pd", "purifier pd"),
        ("vae", "warmup-seed1", "purifier warm-up, seed 1"),
        ("attack", "test-pgd-0.3", "attack PGD 0.3, test images"),
        ("attack", "train-none", "clean training images"),
        ("evaluate", "none", "evaluation of the classifier alone"),
        ("black_box", "extract-D-pd", "black box, substitute D of pd"),
        (
            "robustness",
            "robust-linf-0.3-end_to_end-bpda",
            "attack on robust, L-infinity 0.3, end to end: bpda",
        ),
        ("robustness", "none-l2-1.5-worst", "worst case of the classifier alone, L2 1.5"),
        ("robustness", "pd-sanity", "soundness of the attacks on pd"),
        ("report", "", "report"),
    ],
)
def test_plain_names(stage, instance, title):
    assert title_of(stage, instance) == title


def test_no_two_stages_have_one_name():
    for path in sorted((ROOT / "configs").glob("[!_]*.py")):
        graph = build_stages(load_config(path), "")
        stages = with_inputs(stage for kind in STAGES for stage in graph[kind])
        assert len({stage.title for stage in stages}) == len(stages), path
        boards = [board for stage in stages if (board := board_of(stage.stage, stage.instance))]
        assert len(set(boards)) == len(boards), path


def nothing(context):
    (context.folder / "file").write_text("")


def stage(name, cost=0.0, kind="vae", **inputs):
    return Stage(kind, name, 1, {}, inputs, nothing, cost=cost)


def said(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]


def test_stages_are_numbered_in_the_order_of_execution_and_done_ones_take_one_line(
    tmp_path, caplog
):
    caplog.set_level(logging.INFO, "absl")
    first = stage("a")
    run_stages([first], tmp_path)
    caplog.clear()
    run_stages([first, stage("b", 40.0, x=first), stage("c")], tmp_path)
    lines = said(caplog)
    assert re.fullmatch(r"1 of 3 stages are done already, 2 to run, about \d+ s in all\.", lines[0])
    assert re.fullmatch(r"stage 2 of 3: purifier b, about \d+ s; about \d+ s to the end", lines[1])
    assert lines[2].startswith("stage 3 of 3: purifier c, ") and len(lines) == 3
    caplog.clear()
    run_stages([first], tmp_path)
    assert said(caplog) == ["All 1 stages are done already."]


def test_side_by_side_the_numbers_are_those_of_the_order_of_execution(caplog):
    """Whatever the plan's order: what begins second is the second."""
    caplog.set_level(logging.INFO, "absl")
    steps = [PlanStep(stage(name), Path(name), "run") for name in "abc"]
    display = Display(steps, jobs=2)
    for step in (steps[2], steps[0], steps[1]):
        display.begin(step)
    assert [line.split(",")[0] for line in said(caplog)[1:]] == [
        "stage 1 of 3: purifier c",
        "stage 2 of 3: purifier a",
        "stage 3 of 3: purifier b",
    ]
    # Two bars of one stage, one after the other, and the end of the stage.
    display.moved(steps[0].stage, Moved(1, "purifier a", "image", 10, 5.0))
    display.moved(steps[0].stage, Moved(2, "purifier a", "step", 20, 1.0, "loss=1"))
    display.end(steps[0].stage, 1.0, ran=True)


def test_estimates_follow_what_was_measured():
    """With nothing measured the costs; after stages that took five times as long, nearly five times
    the costs, for other kinds, too.
    """
    speed = Speed(1)
    assert speed.seconds(stage("b", 100.0)) == pytest.approx(103.0)
    for _ in range(20):
        speed.measured(stage("a", 97.0), 500.0)
    assert speed.seconds(stage("b", 97.0)) == pytest.approx(500.0, rel=0.02)
    assert speed.seconds(stage("b", 97.0, kind="evaluate")) == pytest.approx(500.0, rel=0.02)
    # What a kind has shown goes before what others have.
    for _ in range(20):
        speed.measured(stage("a", 97.0, kind="evaluate"), 50.0)
    assert speed.seconds(stage("b", 97.0, kind="evaluate")) == pytest.approx(50.0, rel=0.1)
    # A slow download is no slow machine.
    other = Speed(1)
    other.measured(stage("mnist", 20.0, kind="data"), 600.0)
    assert other.seconds(stage("b", 97.0)) == pytest.approx(100.0)


def test_the_time_to_the_end_counts_what_waits_for_each_other():
    """Costs of 97 and the three seconds of any stage: a chain of three takes 300 s however many run
    at a time.
    """
    a = stage("a", 97.0)
    b = stage("b", 97.0, x=a)
    c = stage("c", 97.0, x=b)
    assert Speed(1).left([a, b, c], []) == pytest.approx(300.0)
    assert Speed(1).left([b, c], [(a, 60.0)]) == pytest.approx(240.0)
    two = Speed(2)
    each = two.seconds(a)
    assert two.left([a, b, c], []) == pytest.approx(3 * each)
    free = [stage(name, 97.0) for name in "defg"]
    assert two.left(free, []) == pytest.approx(4 * each / 2)


def events(folder):
    """An event file with one value in `folder`."""
    folder.mkdir(parents=True)
    writer = EventFileWriter(str(folder))
    event = Event(step=1, wall_time=1.0)
    event.summary.value.add(tag="train/loss", simple_value=0.5)
    writer.add_event(event)
    writer.close()


def test_tensorboard_finds_the_runs_by_their_plain_names(tmp_path):
    """While a purifier is trained and when it is done: TensorBoard's own loader says so."""

    def runs():
        found = event_multiplexer.EventMultiplexer()
        found.AddRunsFromDirectory(str(tmp_path / "tensorboard"))
        found.Reload()
        return {
            name: [event.value for event in found.Scalars(name, "train/loss")]
            for name in found.Runs()
        }

    pd, classifier = stage("pd"), stage("", kind="classifier")
    report = stage("", kind="report")
    partial = pd.partial(tmp_path)
    show_board(tmp_path, pd, partial)
    assert runs() == {}
    events(partial / "tensorboard")
    assert runs() == {"purifier/pd": [0.5]}
    partial.rename(pd.folder(tmp_path))
    show_board(tmp_path, pd, pd.folder(tmp_path))
    events(classifier.folder(tmp_path) / "tensorboard")
    show_board(tmp_path, classifier, classifier.folder(tmp_path))
    show_board(tmp_path, report, report.folder(tmp_path))
    assert runs() == {"classifier": [0.5], "purifier/pd": [0.5]}
    # Relative: the workdir may be moved.
    assert not os.path.isabs(os.readlink(tmp_path / "tensorboard" / "purifier" / "pd"))
    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == [
        "classifier",
        "purifier",
    ]
    # An attempt that left no event files leaves no link.
    cls = stage("cls")
    show_board(tmp_path, cls, cls.partial(tmp_path))
    assert (tmp_path / "tensorboard" / "purifier" / "cls").is_symlink()
    cls.folder(tmp_path).mkdir(parents=True)
    show_board(tmp_path, cls, cls.folder(tmp_path))
    assert [path.name for path in (tmp_path / "tensorboard" / "purifier").iterdir()] == ["pd"]
