"""The child process, what a session remembers, and the command's mistakes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.session import Session
from benchmarks.worker import Worker, WorkerError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def worker(tmp_path, monkeypatch):
    (tmp_path / "operations_of_a_test.py").write_text(
        "import os\nOPERATIONS = {'add': lambda a, b: a + b, 'fail': lambda: 1 // 0, 'leave':"
        " lambda: os._exit(3),\n              'chatter': lambda: print('not an answer') or [1,"
        " 2]}\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Worker(sys.executable, "operations_of_a_test") as made:
        yield made


def test_answers_and_what_libraries_print_do_not_mix(worker):
    assert worker.call("add", a=2, b=3) == 5
    assert worker.call("chatter") == [1, 2]
    assert worker.call("add", a=[1], b=[2]) == [1, 2]


def test_an_error_comes_back_and_the_process_stays(worker):
    with pytest.raises(WorkerError, match="ZeroDivisionError"):
        worker.call("fail")
    assert worker.call("add", a=1, b=1) == 2


def test_a_process_that_ends_is_an_error(worker):
    with pytest.raises(WorkerError, match="ended in 'leave' with status 3"):
        worker.call("leave")


def test_a_part_is_measured_once(tmp_path):
    session = Session(tmp_path, Path(sys.executable), tmp_path)
    calls = []

    def measure():
        calls.append(1)
        return {"a": [1.5, 2]}

    assert session.once("question/part", measure) == {"a": [1.5, 2]}
    assert session.once("question/part", measure) == {"a": [1.5, 2]}
    assert len(calls) == 1
    # What was stopped in the middle left nothing that counts.
    (tmp_path / "parts/question/other.partial").write_text('{"a": ')
    assert session.once("question/other", lambda: 7) == 7


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--only=trainig"], ["trainig", "training"]),
        (["--peers=nowhere/python"], ["nowhere/python", "make bench"]),
        (["training"], ["training", "--only"]),
    ],
)
def test_a_mistake_is_one_line(arguments, words, tmp_path):
    process = subprocess.run(
        [sys.executable, "-m", "benchmarks.run", f"--folder={tmp_path / 'bench'}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 2
    line = process.stderr.strip().splitlines()[-1]
    assert all(word in line for word in words) and "Traceback" not in process.stderr


def test_start_up_is_measured_and_written_in_the_quick_form(tmp_path):
    """A question that needs no peer, through the whole command: rows in the file, and a second run
    measures nothing.
    """
    command = [sys.executable, "-m", "benchmarks.run", "--quick", "--only=startup"]
    command += [f"--peers={sys.executable}", f"--folder={tmp_path}"]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    first = json.loads((tmp_path / "results.json").read_text())
    assert {row["question"] for row in first["rows"]} == {"startup"} and len(first["rows"]) == 4
    assert all(row["peer"] == 1.0 and row["target"] == 1.0 for row in first["rows"])
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert json.loads((tmp_path / "results.json").read_text())["rows"] == first["rows"]
