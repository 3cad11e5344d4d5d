"""Stages side by side: the same artifacts, in helper processes that end with their parent."""

import importlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from madvae_tf.config import to_dict
from madvae_tf.config.overrides import load_config
from madvae_tf.utils.errors import UserError
from pipeline.engine.crew import chains
from pipeline.engine.disk import lock_workdir
from pipeline.engine.plan import PlanStep, Stage
from pipeline.engine.runner import run_stages
from pipeline.graph.stages import build_stages

ROOT = Path(__file__).parents[2]

FUNCTIONS = """
import os, time
from madvae_tf.utils.errors import UserError

def number(context):
    (context.folder / "value.txt").write_text(str(context.config["value"]))

def total(context):
    values = [int((folder / "value.txt").read_text()) for folder in context.inputs.values()]
    (context.folder / "value.txt").write_text(str(sum(values)))

def meet(context):
    '''Ends only if the other one has begun.'''
    meeting = os.environ["MEETING"]
    open(os.path.join(meeting, context.config["me"]), "w").close()
    end = time.monotonic() + 30
    while not os.path.exists(os.path.join(meeting, context.config["other"])):
        if time.monotonic() > end:
            raise RuntimeError("nobody came")
        time.sleep(0.01)
    number(context)

def refuse(context):
    raise UserError("expected something else; give it.")

def stumble(context):
    raise KeyError("a bug")

def leave(context):
    os._exit(5)

def sleep(context):
    open(os.path.join(os.environ["MEETING"], "asleep"), "w").close()
    time.sleep(600)
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The module of the stage functions, which the helpers can import, too."""
    (tmp_path / "functions_of_crew_test.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("MEETING", str(tmp_path))
    yield importlib.import_module("functions_of_crew_test")
    del sys.modules["functions_of_crew_test"]


def numbers(work, last=None):
    """Three numbers, two sums of them, the sum of those."""
    ones = [Stage("number", str(k), 1, {"value": k}, {}, work.number, cost=k) for k in (1, 2, 3)]
    left = Stage("sum", "left", 1, {}, {"a": ones[0], "b": ones[1]}, work.total)
    right = Stage("sum", "right", 1, {}, {"a": ones[1], "b": ones[2]}, work.total)
    end = Stage("end", "", 1, {}, {"a": left, "b": right}, last or work.total, publish_to="report")
    return [*ones, left, right, end]


def values(summary):
    return {step.stage.label: (step.folder / "value.txt").read_text() for step in summary.steps}


def test_the_artifacts_are_those_of_one_after_the_other(work, tmp_path):
    one = run_stages(numbers(work), tmp_path / "one")
    side = run_stages(numbers(work), tmp_path / "side", jobs=2)
    assert values(side) == values(one)
    assert values(side)["end"] == "8" and sorted(side.executed) == sorted(one.executed)
    assert (tmp_path / "side/report/value.txt").read_text() == "8"
    assert list(side.seconds) and not list((tmp_path / "side").rglob("*.partial"))
    assert run_stages(numbers(work), tmp_path / "side", jobs=2).executed == []


def test_stages_run_at_the_same_time(work, tmp_path):
    def meeting(me, other):
        return Stage("meet", me, 1, {"me": me, "other": other, "value": 1}, {}, work.meet)

    summary = run_stages(
        [meeting("left", "right"), meeting("right", "left")], tmp_path / "w", jobs=2
    )
    assert sorted(summary.executed) == ["meet left", "meet right"]


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("refuse", UserError, "expected something else; give it."),
        ("stumble", RuntimeError, "KeyError: 'a bug'"),
        ("leave", RuntimeError, "Stage end ended with status 5|stage end ended with status 5"),
    ],
)
def test_a_failure_comes_back_and_what_was_done_stays(name, kind, words, work, tmp_path):
    stages = numbers(work, last=getattr(work, name))
    with pytest.raises(kind, match=words):
        run_stages(stages, tmp_path / "w", jobs=2)
    with lock_workdir(tmp_path / "w"):  # free again
        pass
    assert run_stages(numbers(work), tmp_path / "w", jobs=2).executed == ["end"]


def test_killed_the_run_takes_its_helpers_along_and_frees_the_workdir(work, tmp_path):
    code = (
        "import functions_of_crew_test as work\n"
        "from pipeline.engine.plan import Stage\n"
        "from pipeline.engine.runner import run_stages\n"
        "stages = [Stage('sleep', str(k), 1, {}, {}, work.sleep) for k in (1, 2)]\n"
        f"run_stages(stages, {str(tmp_path / 'w')!r}, jobs=2)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environment)
    end = time.monotonic() + 60
    while not (tmp_path / "asleep").exists():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    with (
        pytest.raises(UserError, match=f"in use by process {process.pid}"),
        lock_workdir(tmp_path / "w"),
    ):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    while time.monotonic() < end:
        try:
            with lock_workdir(tmp_path / "w"):
                return
        except UserError:
            time.sleep(0.05)
    pytest.fail("a helper outlived its run")


def test_the_longest_chain_goes_first(work):
    stages = numbers(work)
    steps = [PlanStep(stage, Path(stage.label), "run") for stage in stages]
    found = chains(steps)
    # A stage without a cost counts as a tenth of a second: sums and end are two of them.
    assert [round(found[stage.key], 6) for stage in stages] == [1.2, 2.2, 3.2, 0.2, 0.2, 0.1]
    done = [PlanStep(steps[0].stage, Path("x"), "done"), *steps[1:]]
    assert round(chains(done)[stages[0].key], 6) == 0.2


@pytest.mark.parametrize("name", ["quick", "full", "robustness"])
def test_every_stage_of_a_configuration_can_be_sent(name):
    config = load_config(f"configs/{name}.py")
    assert to_dict(config)
    for stages in build_stages(config, "command").values():
        for stage in stages:
            received = pickle.loads(pickle.dumps(stage))
            assert received.key == stage.key and received.run is stage.run
