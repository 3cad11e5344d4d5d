"""`python -m tests.faults.run`: faults of every kind in the pipeline; what was tried, what
survived, what lost data.

    make test-faults                  the long form, at most 20 minutes on two cores
    make test-faults FAULTS=short     at most five minutes, for continuous integration

The run that nothing happens to has every kind of stage: it is the smoke run, and what it leaves is
looked at first. Ends with status 1 if anything failed. `--only=data,attack` interrupts the named
stages only and leaves the other faults out.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

from pipeline.graph.stages import STAGES
from tests.faults.damage import HOWS, Damages
from tests.faults.disks import Refusals
from tests.faults.kills import Kills, count_operations
from tests.faults.score import Score
from tests.faults.smoke import Smoke
from tests.faults.world import SECONDS, World

_KILL, _INTERRUPT, _TERMINATE = signal.SIGKILL, signal.SIGINT, signal.SIGTERM
_LONG = [
    *((_KILL, "operation"), (_KILL, "moment"), (_KILL, "operation"), (_KILL, "moment")),
    *((_INTERRUPT, "moment"), (_TERMINATE, "operation")),
]
# Kinds whose work is slow to reach or to do again: numba compiles, or every defence is timed.
_SLOW = {"clusters": _LONG[:2], "time": _LONG[:2]}
# What the short form interrupts; it takes the other kinds from the run that nothing happened to.
_SHORT_KINDS = {
    "data": [(_KILL, "operation"), (_TERMINATE, "moment")],
    "classifier": [(_KILL, "moment"), (_INTERRUPT, "moment")],
    "attack": [(_KILL, "operation"), (_TERMINATE, "operation")],
    "vae": [(_KILL, "moment")],
    "evaluate": [(_KILL, "operation")],
    "report": [(_KILL, "operation")],
    "export": [(_KILL, "operation")],
}


def main(arguments: argparse.Namespace) -> int:
    """Runs the suite; returns the exit status."""
    short = arguments.form == "short"
    with tempfile.TemporaryDirectory(prefix="madvae-faults-") as scratch:
        world = World(Path(scratch), arguments.seconds)
        score = Score()
        unbroken, counts = Path(scratch) / "unbroken", Path(scratch) / "operations.json"
        if not score.case("no fault", "all stages", lambda: _unbroken(world, unbroken, counts)):
            return 1
        Smoke(world, score, unbroken).all()
        kills = Kills(world, score, unbroken, json.loads(counts.read_text()), arguments.seed)
        for kind in STAGES:
            weapons = _SHORT_KINDS.get(kind, []) if short else _SLOW.get(kind, _LONG)
            if weapons and (not arguments.only or kind in arguments.only.split(",")):
                kills.kind(kind, weapons)
            elif short:
                kills.take(kind)
        shutil.rmtree(kills.workdir, ignore_errors=True)
        if not arguments.only:
            damages = Damages(world, score, unbroken, arguments.seed)
            for kind in _SHORT_KINDS if short else STAGES:
                damages.finished(kind, HOWS, rebuild=not short and kind not in _SLOW)
            damages.unfinished(short)
            Refusals(world, score, unbroken).all(short)
        facts = {
            "form": arguments.form,
            "seed": arguments.seed,
            "runs": world.runs,
            "cores": os.cpu_count(),
        }
        score.write(arguments.results, facts)
    sys.stdout.write("\n" + score.table() + f"\nwritten to {arguments.results}\n")
    return int(any(case.outcome in ("failed", "lost data") for case in score.cases))


def _unbroken(world: World, workdir: Path, counts: Path) -> str:
    attempt = world.start(workdir, before=count_operations(counts))
    attempt.seconds *= 4
    attempt.finish()
    return "ran"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--form", choices=("long", "short"), default="long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seconds", type=float, default=SECONDS, help="a run that takes longer hangs"
    )
    parser.add_argument("--only", default="")
    parser.add_argument("--results", type=Path, default=Path("runs/faults/results.json"))
    sys.exit(main(parser.parse_args()))
