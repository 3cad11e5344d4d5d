"""kill -9 in the middle of a stage, and what a run finds after it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from madvae_tf.utils.errors import UserError
from pipeline.engine import artifacts
from pipeline.engine.disk import lock_workdir
from pipeline.engine.plan import Stage
from pipeline.engine.runner import run_stages

ROOT = Path(__file__).parents[2]

# Writes five shards, each whole or not there; with STOP_AT=n it says so and hangs before shard n.
SCRIPT = """
import json, os, sys, time
from pathlib import Path
from pipeline.engine.plan import Stage
from pipeline.engine.runner import run_stages

def shards(context):
    for index in range(context.config["shards"]):
        if os.environ.get("STOP_AT") == str(index):
            (context.folder / "shard-torn.tmp").write_bytes(b"torn")
            print("hanging", flush=True)
            time.sleep(600)
        path = context.folder / f"shard-{index}"
        if path.exists():
            continue
        temporary = context.scratch / "shard"
        temporary.write_bytes(bytes([index]) * 1000)
        temporary.replace(path)
        (context.scratch / "checkpoint").write_text(str(index))
    (context.folder / "shard-torn.tmp").unlink(missing_ok=True)

def last(context):
    (context.folder / "all").write_bytes(b"".join(p.read_bytes() for p in sorted(context.inputs["s"].glob("shard-*"))))

first = Stage("shards", "train", 1, {"shards": 5}, {}, shards)
summary = run_stages([first, Stage("last", "", 1, {}, {"s": first}, last)], Path(sys.argv[1]))
print(json.dumps({"states": [step.state for step in summary.steps], "executed": summary.executed}))
"""  # noqa: E501


def start(workdir: Path, stop_at: str = "") -> subprocess.Popen:
    environment = {**os.environ, "STOP_AT": stop_at, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(workdir)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )


def finish(process: subprocess.Popen) -> dict:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return json.loads(output)


def hang(workdir: Path, stop_at: str) -> subprocess.Popen:
    process = start(workdir, stop_at)
    assert process.stdout is not None and process.stdout.readline() == "hanging\n"
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def content(workdir: Path, tree) -> dict[str, bytes]:
    return {
        name: data
        for name, data in tree(workdir / "artifacts").items()
        if not name.endswith("manifest.json")
    }


def test_killed_twice_it_ends_with_the_bytes_of_an_unbroken_run(tmp_path, tree):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    for stop_at in ("2", "4"):
        kill(hang(broken, stop_at))
        (partial,) = (broken / "artifacts" / "shards").iterdir()
        assert partial.name.endswith(".partial")
        assert sorted(path.name for path in partial.glob("shard-?")) == [
            f"shard-{i}" for i in range(int(stop_at))
        ]
    done = finish(start(broken))
    assert done == {"states": ["resume", "run"], "executed": ["shards train", "last"]}
    finish(start(unbroken))
    assert content(broken, tree) == content(unbroken, tree) != {}
    (folder,) = (broken / "artifacts" / "shards").iterdir()
    manifest = artifacts.read_manifest(folder)
    assert manifest["attempts"] == 3 and len(manifest["files"]) == 5
    assert finish(start(broken)) == {"states": ["done", "done"], "executed": []}


def test_a_workdir_in_use_is_refused_and_a_killed_runs_lock_is_no_obstacle(tmp_path):
    process = hang(tmp_path, "1")
    try:
        with (
            pytest.raises(UserError, match=rf"in use by process {process.pid}\b.*--workdir"),
            lock_workdir(tmp_path),
        ):
            pytest.fail("the lock was given twice")
    finally:
        kill(process)
    assert (tmp_path / ".lock").exists()
    with lock_workdir(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"
    assert finish(start(tmp_path))["executed"] == ["shards train", "last"]


def once(calls: list[str]) -> Stage:
    def run(context):
        calls.append("run")
        (context.folder / "file").write_text("content")

    return Stage("one", "", 1, {}, {}, run)


def test_killed_between_manifest_and_rename_only_the_rename_is_made_up(workdir):
    calls: list[str] = []
    run_stages([once(calls)], workdir)
    stage = once(calls)
    final, partial = stage.folder(workdir), stage.partial(workdir)
    final.rename(partial)
    (partial / ".scratch").mkdir()
    summary = run_stages([stage], workdir)
    assert summary.executed == [] and calls == ["run"] and final.is_dir() and not partial.exists()
    assert not (final / ".scratch").exists()

    final.rename(partial)
    (partial / "file").write_text("changed")
    assert run_stages([stage], workdir).executed == ["one"]
    assert (final / "file").read_text() == "content" and calls == ["run", "run"]


def test_seconds_of_earlier_attempts_are_counted(workdir):
    stage = once([])
    scratch = stage.partial(workdir) / ".scratch"
    scratch.mkdir(parents=True)
    earlier = {"seconds": 1000.5, "attempts": 2, "peak_memory_bytes": 1 << 50}
    (scratch / "attempts.json").write_text(json.dumps(earlier))
    manifest = artifacts.read_manifest(run_stages([stage], workdir).folder("one"))
    assert manifest["seconds"] >= 1000.5
    assert manifest["attempts"] == 3 and manifest["peak_memory_bytes"] == 1 << 50
