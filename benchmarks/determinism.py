"""Two runs from nothing with one seed: are their tables, shards and weights the same, bit by bit?

    python -m benchmarks.determinism --config=configs/smoke.py --folder=runs/determinism

TensorFlow promises nothing of the kind without op determinism; on one CPU model with one number of
threads its kernels add in a fixed order, and this measures it. The stage "time" holds times, and is
not compared. Ends with status 1 if anything differs.
"""

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

from madvae_tf.utils import console
from pipeline.graph.stages import STAGES
from tests.faults.compare import differences, finished


def main(arguments: argparse.Namespace) -> int:
    """Runs, compares, prints; returns the exit status."""
    workdirs = [arguments.folder / name for name in ("one", "two")]
    for workdir in workdirs:
        shutil.rmtree(workdir, ignore_errors=True)
        start = time.monotonic()
        flags = [
            f"--config={arguments.config}",
            f"--workdir={workdir}",
            *(f"--set={each}" for each in arguments.set),
        ]
        subprocess.run([sys.executable, "-m", "pipeline.run", "--stage=all", *flags], check=True)
        print(f"{workdir}: {time.monotonic() - start:.0f} s")
    found = []
    for kind in STAGES:
        count = sum(name.startswith(f"{kind}/") for name in finished(workdirs[0]))
        lines = differences(*workdirs, kind) if count else []
        print(f"{kind:12} {count:3} artifacts {'differ' if lines else 'equal' if count else '-'}")
        found += lines
    print("\n".join(found) or "everything that is compared is equal, bit by bit")
    return int(bool(found))


if __name__ == "__main__":
    console.quiet()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/smoke.py")
    parser.add_argument("--folder", type=Path, default=Path("runs/determinism"))
    parser.add_argument("--set", action="append", default=[])
    sys.exit(main(parser.parse_args()))
