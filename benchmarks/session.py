"""What every question gets: sizes, the two Pythons, the shared material, and a memory of what was
measured already.
"""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import material
from benchmarks.worker import Worker


@dataclasses.dataclass(frozen=True)
class Session:
    """One run of the benchmarks.

    Attributes:
        folder: what was measured and the material go here; a run that is started again goes on from
            it.
        peers: the Python of the peers' environment.
        workdir: the pipeline's folder that the classifier is taken from, or made in.
        quick: the smallest sizes that go through every line of code; its figures mean nothing.
    """

    folder: Path
    peers: Path
    workdir: Path
    quick: bool = False

    def size(self, full: Any, quick: Any) -> Any:
        """`full`, or `quick` in the smaller form."""
        return quick if self.quick else full

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """What `measure` returned, in this run or in one before it that had this folder; `name` may
        hold slashes.
        """
        path = self.folder / "parts" / f"{name}.json"
        if not path.exists():
            value = measure()
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(".partial")
            partial.write_text(json.dumps(value, indent=1), encoding="utf-8")
            partial.replace(path)
        return json.loads(path.read_text(encoding="utf-8"))

    def material(self) -> Path:
        """The shared classifier and images, made on first use."""
        path = (self.folder / "material.npz").absolute()
        if not path.exists():
            material.make_material(path, self.workdir)
        return path

    def ours(self, module: str) -> Worker:
        """A process of this environment that serves `benchmarks.workers.<module>`."""
        return Worker(sys.executable, f"benchmarks.workers.{module}")

    def peer(self, module: str) -> Worker:
        """The same of the peers' environment."""
        return Worker(self.peers, f"benchmarks.workers.{module}")

    def rates(self) -> dict[str, float]:
        """The machine's measured GEMM rates, FLOP/s: "float32", "bfloat16"."""

        def measure() -> dict[str, float]:
            with self.ours("ours_floor") as worker:
                return worker.call("rates", size=self.size(2048, 128))

        return self.once("rates", measure)
