"""kill -9, SIGINT and SIGTERM at random points of every kind of stage; resumed, all is as if
nothing had happened.

A point is either the n-th operation on a file of the stage (an audit hook counts them in the
process itself, so the point is exact and the same at every call with one seed), or a moment in its
work (which the operating system makes random).
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.engine import artifacts
from tests.faults.compare import broken, differences, finished
from tests.faults.score import LostData, Score
from tests.faults.world import Attempt, World

_OPERATIONS = (
    "open",
    "os.rename",
    "os.remove",
    "os.mkdir",
    "os.rmdir",
    "os.truncate",
    "shutil.rmtree",
    "shutil.copyfile",
)
_ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130, signal.SIGTERM: 143}
_TRIES = 4


def count_operations(path: Path) -> Callable[[], None]:
    """For a run that nothing happens to: writes kind -> operations on its files to `path`, now and
    then.
    """

    def install() -> None:
        counts: dict[str, int] = {}

        def hook(event: str, arguments: tuple) -> None:
            if event in _OPERATIONS and (kind := _kind_of(arguments)):
                counts[kind] = counts.get(kind, 0) + 1
                if "manifest" in str(arguments[0]):
                    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
                    os.write(descriptor, json.dumps(counts).encode())
                    os.close(descriptor)

        sys.addaudithook(hook)

    return install


def _kind_of(arguments: tuple) -> str:
    for value in arguments[:2]:
        if isinstance(value, str | os.PathLike):
            parts = os.fspath(value).split("/")
            if "artifacts" in parts[:-1]:
                return parts[parts.index("artifacts") + 1]
    return ""


def stop_at_operation(kind: str, number: int, weapon: int) -> Callable[[], None]:
    """For a run that is to end at operation `number` on the files of `kind`, before it is made."""

    def install() -> None:
        seen = 0

        def hook(event: str, arguments: tuple) -> None:
            nonlocal seen
            if event in _OPERATIONS and _kind_of(arguments) == kind:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), weapon)

        sys.addaudithook(hook)

    return install


class Kills:
    """A workdir that is interrupted again and again, beside one that never was."""

    def __init__(
        self, world: World, score: Score, unbroken: Path, operations: dict[str, int], seed: int
    ) -> None:
        self.world, self.score, self.unbroken, self.operations = world, score, unbroken, operations
        self.workdir = world.folder / "killed"
        self.random = random.Random(seed)
        self.seconds: dict[str, float] = {}
        for folder in finished(unbroken).values():
            manifest = artifacts.read_manifest(folder)
            kind = manifest["stage"]
            self.seconds[kind] = self.seconds.get(kind, 0.0) + manifest["seconds"]

    def kind(self, kind: str, weapons: list[tuple[int, str]]) -> None:
        """Interrupts the stages of `kind` once for each of `weapons`, (signal, "operation" or
        "moment"), then lets them end.
        """
        for weapon, where in weapons:
            name = f"{signal.Signals(weapon).name} at a {where}"
            self.score.case(
                name, kind, lambda weapon=weapon, where=where: self._interrupt(kind, weapon, where)
            )
        self.score.case("end after interruptions", kind, lambda: self._end(kind))

    def take(self, kind: str) -> None:
        """The artifacts of `kind` from the unbroken run, for the stages that read them."""
        shutil.copytree(
            self.unbroken / "artifacts" / kind,
            self.workdir / "artifacts" / kind,
            dirs_exist_ok=True,
        )

    def _interrupt(self, kind: str, weapon: int, where: str) -> str:
        """Ends a run; what was done before must be there after it. A point that comes too late is
        drawn again.
        """
        before = self._done()
        for _ in range(_TRIES):
            attempt, point = (self._at_operation if where == "operation" else self._at_moment)(
                kind, weapon
            )
            status = attempt.wait()
            if status == 0:
                continue
            text = attempt.text()
            assert status == _ENDS[weapon], f"status {status} at {point}: {text[-1000:]}"
            assert "Traceback" not in text, f"{point}: {text[-1500:]}"
            if weapon != signal.SIGKILL:
                assert "goes on from what is done" in text, (
                    f"no word of it at {point}: {text[-300:]}"
                )
            self._check(before)
            return point
        # The stages of this kind are done; what is left is to begin again.
        self._forget(kind)
        return self._interrupt(kind, weapon, where)

    def _at_operation(self, kind: str, weapon: int) -> tuple[Attempt, str]:
        # The later attempts have less to do.
        number = self.random.randint(1, max(2, self.operations[kind] * 2 // 3))
        attempt = self.world.start(
            self.workdir, kind, before=stop_at_operation(kind, number, weapon)
        )
        return attempt, f"operation {number} of about {self.operations[kind]}"

    def _at_moment(self, kind: str, weapon: int) -> tuple[Attempt, str]:
        moment = self.random.uniform(0.0, self.seconds[kind] * 0.7)
        attempt = self.world.start(self.workdir, kind)
        folder = self.workdir / "artifacts" / kind
        known = set(folder.glob("*")) if folder.is_dir() else set()
        while attempt.poll() is None and not (
            set(folder.glob("*")) - known or list(folder.glob("*.partial"))
        ):
            time.sleep(0.005)
        time.sleep(moment)
        if attempt.poll() is None:
            attempt.signal(weapon)
        return attempt, f"{moment:.2f} s of about {self.seconds[kind]:.1f}"

    def _end(self, kind: str) -> str:
        before = self._done()
        self.world.start(self.workdir, kind).finish()
        self._check(before)
        assert not list((self.workdir / "artifacts" / kind).glob("*.partial")), (
            "an unfinished artifact is left"
        )
        if lines := differences(self.unbroken, self.workdir, kind):
            raise LostData("; ".join(lines))
        return (
            f"{len([name for name in finished(self.workdir) if name.startswith(kind + '/')])}"
            " artifacts equal"
        )

    def _done(self) -> dict[Path, int]:
        """Finished artifacts' manifests and whole shards, with the time each was written at."""
        found = {folder / artifacts.MANIFEST for folder in finished(self.workdir).values()}
        found |= set(self.workdir.glob("artifacts/attack/*/shard-*-label.npy"))
        return {path: path.stat().st_mtime_ns for path in found}

    def _check(self, before: dict[Path, int]) -> None:
        if lines := broken(self.workdir):
            raise LostData("; ".join(lines))
        after = self._done()
        for path, written in before.items():
            final = Path(str(path).replace(".partial/", "/"))
            now = after.get(path, after.get(final))
            if now is None:
                raise LostData(f"{path} has gone")
            if now != written:
                raise LostData(f"{path} was made anew")

    def _forget(self, kind: str) -> None:
        for folder in (self.workdir / "artifacts" / kind).glob("*"):
            for path in sorted(folder.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
            folder.rmdir()
