"""Start-up: the seconds that --help of every command takes, against the second that it may take."""

import subprocess
import sys
import time

from benchmarks.rows import Row, row_of
from benchmarks.session import Session
from benchmarks.worker import ROOT

COMMANDS = ("pipeline.run", "madvae_tf.train", "madvae_tf.cli.purify", "madvae_tf.cli.attack")
BOUND = 1.0


def seconds(module: str) -> float:
    """Of `python -m module --help`, from start to end."""
    start = time.perf_counter()
    # absl ends --help with status 1.
    subprocess.run(
        [sys.executable, "-m", module, "--help"], cwd=ROOT, stdout=subprocess.DEVNULL, check=False
    )
    return time.perf_counter() - start


def measure(session: Session) -> list[Row]:
    """A row for every command; the first call, which may write bytecode, is not counted."""
    rows = []
    for module in COMMANDS:

        def rounds(module=module) -> list[float]:
            return [seconds(module) for _ in range(session.size(6, 2))][1:]

        taken = session.once(f"startup/{module}", rounds)
        case = f"python -m {module} --help"
        rows.append(row_of("startup", case, taken, "bound", [BOUND] * len(taken), "s", target=1.0))
    return rows
