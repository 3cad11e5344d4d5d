"""A run that is ended says so: SIGTERM and Ctrl-C by itself, an abort or kill -9 through the watcher."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# A run of one stage that sleeps, aborts as a C++ library does, or ends well.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from madvae_tf.errors import as_one_line
from pipeline.runner import Stage, run_stages
from pipeline.watch import last_words

# A shell that starts this in the background has it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def work(context):
    (context.folder / "file").write_text("content")
    if sys.argv[2] == "abort":
        os.abort()
    if sys.argv[2] == "sleep":
        print("sleeping", flush=True)
        time.sleep(600)

with as_one_line("interrupted; the same command goes on."), last_words() as started:
    run_stages([Stage("work", "train", 1, {}, {}, work)], Path(sys.argv[1]), started=started)
"""


def start(workdir: Path, what: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(workdir), what],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    ("number", "status", "message"),
    [
        (signal.SIGINT, 130, "interrupted; the same command goes on.\n"),
        (signal.SIGTERM, 143, "interrupted; the same command goes on.\n"),
        (signal.SIGKILL, -9, "error: Stage work train was ended without a word"),
    ],
)
def test_a_signal_in_a_stage(tmp_path, number, status, message):
    process = start(tmp_path, "sleep")
    assert process.stdout is not None and process.stdout.readline() == "sleeping\n"
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == status
    assert errors.startswith(message) and errors.count("\n") == 1, errors


def test_an_abort_is_reported_with_the_stage(tmp_path):
    _, errors = start(tmp_path, "abort").communicate(timeout=60)
    assert "error: Stage work train was ended without a word (killed" in errors and "out of memory" in errors
    again = start(tmp_path, "end")
    again.communicate(timeout=60)  # closes the pipes, too
    assert again.returncode == 0


def test_a_run_that_ends_well_says_nothing(tmp_path):
    process = start(tmp_path, "end")
    assert process.communicate(timeout=60) == ("", "") and process.returncode == 0
