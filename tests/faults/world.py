"""The world of the fault suite: small data in MNIST's format, and the pipeline in a process that
something happens to.

TensorFlow is loaded once, here, and nothing of it is used; every run is a fork of this process, so
that a run costs its work and not the seconds of the imports. A fork is a process of its own: it is
killed, limited and refused like any other.
"""

import dataclasses
import hashlib
import importlib
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import flags

from madvae_tf.data import catalogue, idx
from pipeline import run
from pipeline.graph.stages import STAGES

CONFIG = "tests/faults/tiny_all.py"
SECONDS = 300.0
_HEAVY = (
    *(
        "keras",
        "tensorflow",
        "tensorflow_datasets",
        "cleverhans",
        "umap",
        "matplotlib.figure",
        "keras_tuner",
    ),
    *(
        "madvae_tf.defenses",
        "madvae_tf.evaluation",
        "madvae_tf.report",
        "madvae_tf.evaluation.oblivious",
        "madvae_tf.export.saved_model",
    ),
    *(
        "madvae_tf.data.prepare",
        "madvae_tf.training.tuning",
        "madvae_tf.evaluation.extraction",
        "madvae_tf.evaluation.clusters",
    ),
)


@dataclasses.dataclass
class Attempt:
    """One run of the pipeline.

    Attributes:
        pid: its process.
        log: what it said.
        seconds: how long it may take; then it hangs.
    """

    pid: int
    log: Path
    seconds: float = SECONDS
    status: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        if self.status is None:
            pid, raw = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(raw)
        return self.status

    def wait(self) -> int:
        """The exit status; a run that hangs is killed, and that is an error."""
        end = time.monotonic() + self.seconds
        while (status := self.poll()) is None:
            if time.monotonic() > end:
                self.signal(signal.SIGKILL)
                os.waitpid(self.pid, 0)
                raise AssertionError(f"hangs: no end within {self.seconds:.0f} s; see {self.log}")
            time.sleep(0.01)
        return status

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def refusal(self) -> str:
        """The one line that a run which ended with status 2 leaves; anything else is an error."""
        status, text = self.wait(), self.text()
        lines = [line for line in text.splitlines() if line.startswith("error: ")]
        assert status == 2 and len(lines) == 1 and "Traceback" not in text, (
            f"status {status}: {text[-1500:]}"
        )
        return lines[0]

    def finish(self) -> str:
        """What it said; it must end well."""
        status, text = self.wait(), self.text()
        errors = [line for line in text.splitlines() if line.startswith("error: ")]
        assert status == 0 and "Traceback" not in text, f"status {status}: {errors or text[-1500:]}"
        return text


class World:
    """Data, a folder for workdirs and logs, and `start`."""

    def __init__(self, folder: Path, seconds: float = SECONDS) -> None:
        """A run that takes more than `seconds` hangs."""
        self.folder, self.seconds = folder, seconds
        self.runs = 0
        for name in _HEAVY:
            importlib.import_module(name)
        self._write_data(folder / "idx")

    def _write_data(self, folder: Path) -> None:
        """500 training and 150 test images: a square for each class, under noise."""
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(3)
        self.checksums = {}
        for prefix, n in (("train", 500), ("t10k", 150)):
            labels = np.arange(n) % 10
            images = generator.integers(0, 60, (n, 28, 28))
            for image, label in zip(images, labels, strict=True):
                image[2 * label : 2 * label + 8, 2 * label : 2 * label + 8] += 190
            for name, values in (
                (f"{prefix}-images-idx3-ubyte", images),
                (f"{prefix}-labels-idx1-ubyte", labels),
            ):
                header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
                content = header + values.astype(np.uint8).tobytes()
                (folder / name).write_bytes(content)
                self.checksums[name] = hashlib.sha256(content).hexdigest()
        assert set(self.checksums) == set(idx.FILE_NAMES)

    def start(
        self,
        workdir: Path,
        stage: str = "all",
        *arguments: str,
        before: Callable[[], object] | None = None,
    ) -> Attempt:
        """A run in a process of its own; `before` is called in it first."""
        self.runs += 1
        log = self.folder / "logs" / f"{self.runs:04d}-{stage}.log"
        log.parent.mkdir(exist_ok=True)
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become_the_pipeline(log, workdir, stage, arguments, before)
        return Attempt(pid, log, self.seconds)

    def _become_the_pipeline(self, log, workdir, stage, arguments, before) -> None:
        status = 1
        # A shell that starts the suite in the background has it, and so its forks, ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            known = catalogue.DATASETS["mnist"]
            catalogue.DATASETS["mnist"] = dataclasses.replace(known, sha256=self.checksums)
            flags.DEFINE_string("stage", "all", f"all, or one of: {', '.join(STAGES)}")
            sys.argv = [
                *("pipeline.run", f"--config={CONFIG}", f"--workdir={workdir}", f"--stage={stage}"),
                *(f"--set=data.path={self.folder / 'idx'}", *arguments),
            ]
            if before is not None:
                before()
            run.run()
            status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
