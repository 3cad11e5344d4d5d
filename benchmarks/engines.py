"""Images a second of adversarial-set generation: the local engine, and Beam's DirectRunner with 1,
2, ... processes.

    python -m benchmarks.engines --set-folder=runs/quick/artifacts/attack/train-cw-10-<key> --images=2000 --workers=1,2,4

Takes the settings and inputs of a finished adversarial set, makes its first images again into a
folder of its own, compares the shards' bytes between the engines, and prints a row for each.
Starting workers (TensorFlow, data, model) is in the seconds. The ratio is that of the rate to the
local engine's; load is the machine's load average at the row's end: above the number of cores,
something else ran.
"""  # noqa: E501

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from madvae_tf.utils import console
from madvae_tf.utils.files import sha256_of
from pipeline.engine import artifacts
from pipeline.engine.plan import Context
from pipeline.steps import engines
from pipeline.steps.data import generate_adversarial_set


def main(arguments: argparse.Namespace) -> int:
    """Prints the table; returns 1 if two engines made different bytes."""
    manifest = artifacts.read_manifest(arguments.set_folder)
    root = arguments.set_folder.resolve().parents[1]
    inputs = {name: root / upstream["folder"] for name, upstream in manifest["inputs"].items()}
    config = {**manifest["config"], "images": arguments.images, "shard_size": arguments.shard_size}
    config["batch_size"] = min(config["batch_size"], arguments.shard_size)
    kinds = [("local", engines.Local())] + [
        (f"beam, {n} workers", engines.Beam("DirectRunner", n))
        for n in map(int, arguments.workers.split(","))
    ]
    expected, status = None, 0
    local = 0.0
    print(f"{'engine':18}{'seconds':>9}{'images/s':>10}{'ratio':>7}{'load':>6}  bytes")
    for number, (name, engine) in enumerate(kinds):
        folder = arguments.folder / str(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        start = time.monotonic()
        with engines.using(engine):
            generate_adversarial_set(Context(folder, folder / ".scratch", inputs, config))
        seconds = time.monotonic() - start
        found = {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.is_file()}
        expected = expected or found
        same = found == expected
        status |= not same
        local = local or seconds
        print(
            f"{name:18}{seconds:9.1f}{arguments.images / seconds:10.1f}{local / seconds:7.2f}{os.getloadavg()[0]:6.1f}"  # noqa: E501
            f"  {'equal' if same else 'DIFFER'}",
            flush=True,
        )
    return int(status)


if __name__ == "__main__":
    console.quiet()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set-folder", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path("runs/engines"))
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--shard-size", type=int, default=250)
    parser.add_argument("--workers", default="1,2,4")
    sys.exit(main(parser.parse_args()))
