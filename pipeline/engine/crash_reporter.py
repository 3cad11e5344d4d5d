"""Reports a run that was killed from outside, or aborted for want of memory, and so cannot report
itself.

A small process waits at a pipe. A run that ends by itself says so first; where the pipe just
closes, the process prints which stage it was in and, where the system tells, that memory ran out.
It holds no lock and none of the run's files.
"""

import contextlib
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator

_DONE = "done"
# Runs without this project, and without `site`: it starts in some twenty milliseconds.
_REPORTER = r"""
import os, sys

def kills():
    try:
        with open("/sys/fs/cgroup/memory.events") as file:
            return sum(int(line.split()[1]) for line in file if line.split()[0] == "oom_kill")
    except (OSError, ValueError, IndexError):
        return 0

before, stage, limit = kills(), "the start", sys.argv[1]
for line in sys.stdin:
    stage = line.strip()
if stage != "done":
    if kills() > before:
        how = "out of memory: the system killed it"
    elif limit:
        how = f"killed, or out of memory: its limit (ulimit -v) is {limit} MiB"
    else:
        how = "killed from outside, or out of memory"
    sys.stderr.write(
        f"error: Stage {stage} was ended without a word ({how}); with more memory or smaller batches, "
        "run again: it goes on from what is done.\n"
    )
"""  # noqa: E501


@contextlib.contextmanager
def crash_reporter() -> Iterator[Callable[[str], None]]:
    """Gives a function that is told each stage as it begins; where no process can be made it does
    nothing.
    """
    try:
        reporter = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", _REPORTER, _memory_limit()],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the run.
        )
    except OSError:
        yield lambda stage: None
        return

    pipe = reporter.stdin

    def say(words: str) -> None:
        with contextlib.suppress(OSError):
            print(words, file=pipe, flush=True)  # to the reporter

    try:
        yield say
    finally:
        say(_DONE)
        with contextlib.suppress(OSError):
            reporter.communicate()


def _memory_limit() -> str:
    """The limit of the address space in MiB; "" for none."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    return "" if soft == resource.RLIM_INFINITY else str(soft // 2**20)
