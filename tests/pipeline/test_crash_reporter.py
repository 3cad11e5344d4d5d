"""A run that is ended says so: SIGTERM and Ctrl-C by itself, an abort or kill -9 through the
watcher.
"""

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
from madvae_tf.utils.errors import as_one_line
from madvae_tf.utils.progress import progress_bar
from pipeline.engine.plan import Stage
from pipeline.engine.runner import run_stages
from pipeline.engine.crash_reporter import crash_reporter

# A shell that starts this in the background has it ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt():
    os.kill(os.getpid(), getattr(signal, sys.argv[3]))
    time.sleep(600)

class Finalizer:
    def __del__(self):
        interrupt()

def work(context):
    (context.folder / "file").write_text("content")
    if sys.argv[2] == "abort":
        os.abort()
    if sys.argv[2] == "sleep":
        print("sleeping", flush=True)
        time.sleep(600)
    if sys.argv[2] in ("convert", "drop", "pass over", "finalizer", "print"):
        try:
            if sys.argv[2] == "finalizer":
                Finalizer()
            else:
                interrupt()
        except KeyboardInterrupt:
            if sys.argv[2] == "print":  # as PyErr_Print, which drops it too
                sys.excepthook(SystemError, SystemError("returned a result with an exception set"), None)
            if sys.argv[2] == "convert":
                raise SystemError("a function returned a result with an exception set")
        if sys.argv[2] in ("drop", "finalizer", "print"):
            with progress_bar(9, "work", "step") as bar:
                for _ in range(9):
                    bar.update()
            print("to the end", flush=True)

with as_one_line("interrupted; the same command goes on."), crash_reporter() as started:
    stages = [Stage("work", name, 1, {"name": name}, {}, work) for name in ("train", "other")]
    run_stages(stages if sys.argv[2] == "pass over" else stages[:1], Path(sys.argv[1]), started=started)
"""  # noqa: E501


def start(workdir: Path, what: str, *further: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(workdir), what, *further],
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


@pytest.mark.parametrize("how", ["convert", "drop", "pass over", "finalizer", "print"])
@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interrupt_that_a_library_changes_or_drops_still_ends_the_run(
    tmp_path, how, number, status
):
    process = start(tmp_path, how, number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == status, errors
    assert (
        "Traceback" not in errors
        and "SystemError" not in errors
        and errors.endswith("interrupted; the same command goes on.\n")
    )
    assert output == ""


def test_an_abort_is_reported_with_the_stage(tmp_path):
    _, errors = start(tmp_path, "abort").communicate(timeout=60)
    assert (
        "error: Stage work train was ended without a word (killed" in errors
        and "out of memory" in errors
    )
    again = start(tmp_path, "end")
    again.communicate(timeout=60)  # closes the pipes, too
    assert again.returncode == 0


def test_a_run_that_ends_well_says_nothing(tmp_path):
    process = start(tmp_path, "end")
    assert process.communicate(timeout=60) == ("", "") and process.returncode == 0
