"""Disks that fill or refuse, two runs at once, a clock set back, too little memory: a line says so,
and a further run goes on.
"""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.compare import broken, differences
from tests.faults.score import LostData, Score, Skipped
from tests.faults.world import World

_NOBODY = 65534
_YEARS = 20 * 365 * 86_400


class Refusals:
    """The faults of the machine around a run."""

    def __init__(self, world: World, score: Score, unbroken: Path) -> None:
        self.world, self.score, self.unbroken = world, score, unbroken

    def all(self, short: bool) -> None:
        """Every one of them; the short form fills the disk once."""
        for share in (0.5,) if short else (0.02, 0.3, 0.6, 0.9):
            self.score.case(
                "disk full",
                f"at {share:.0%} of what is needed",
                lambda share=share: self.full(share),
            )
        self.score.case("read-only workdir", "mount", self.read_only_mount)
        self.score.case("read-only workdir", "another user's", self.read_only_owner)
        for number in range(1 if short else 3):
            self.score.case(
                "two runs at once",
                f"race {number + 1}",
                lambda number=number: self.two_runs(number),
            )
        self.score.case("clock set back", "20 years, resumed", self.clock_back)
        for stage, spare in (
            (("classifier", 300),)
            if short
            else (("attack", 200), ("classifier", 300), ("classifier", 600))
        ):
            self.score.case(
                "out of memory",
                f"{stage}, {spare} MiB to spare",
                lambda stage=stage, spare=spare: self.memory(stage, spare),
            )

    def full(self, share: float) -> str:
        """A small tmpfs: the run ends with one line; given room it goes on and ends as ever."""
        folder = self.world.folder / "small"
        stage = "classifier" if share < 0.3 else "attack"
        needed = (
            _size(self.unbroken / "artifacts" / "data")
            if stage == "classifier"
            else _size_to(self.unbroken)
        )
        with _mounted(folder, int(needed * share)):
            line = self.world.start(folder / "work", stage).refusal()
            assert "no space left on the disk" in line or "free some space" in line, line
            if lines := broken(folder / "work"):
                raise LostData("; ".join(lines))
            _call("mount", "-o", "remount,size=500m", str(folder))
            self.world.start(folder / "work", stage).finish()
            if lines := differences(self.unbroken, folder / "work", stage):
                raise LostData("; ".join(lines))
        return line[:120]

    def read_only_mount(self) -> str:
        """A workdir on a file system that is mounted read-only, and one that has become so after
        the run began.
        """
        folder = self.world.folder / "refusing"
        with _mounted(folder, 50_000_000):
            shutil.copytree(self.unbroken / "artifacts/data", folder / "work/artifacts/data")
            _call("mount", "-o", "remount,ro", str(folder))
            line = self.world.start(folder / "work", "classifier").refusal()
            assert "Read-only file system" in line or "no permission" in line, line
        return line[:120]

    def read_only_owner(self) -> str:
        """A workdir of another user, and artifacts of another user in a workdir of one's own."""
        if os.geteuid() != 0:
            raise Skipped("needs root, to be somebody else")
        folder = self.world.folder / "owned"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        self.world.folder.chmod(0o755)
        (self.world.folder / "logs").chmod(0o777)
        line = self.world.start(folder / "work", "data", before=_become_nobody).refusal()
        assert "Cannot use workdir" in line and "Permission denied" in line, line
        (folder / "work/artifacts/data").mkdir(parents=True)
        (folder / "work").chmod(0o777)
        line = self.world.start(folder / "work", "data", before=_become_nobody).refusal()
        assert "no permission" in line or "Permission denied" in line, line
        return line[:120]

    def two_runs(self, number: int) -> str:
        """Two at the same moment: one runs, the other says by whom the workdir is held."""
        workdir = self.world.folder / f"both-{number}"
        shutil.rmtree(workdir, ignore_errors=True)
        pair = [self.world.start(workdir, "data") for _ in range(2)]
        statuses = [attempt.wait() for attempt in pair]
        if statuses == [0, 0]:
            return "one came after the other had ended"
        assert sorted(statuses) == [0, 2], statuses
        line = pair[statuses.index(2)].refusal()
        assert "in use by process" in line, line
        if lines := differences(self.unbroken, workdir, "data"):
            raise LostData("; ".join(lines))
        return line[:120]

    def clock_back(self) -> str:
        """Killed in the middle, then the clock is set back: everything on disk is of the future."""
        workdir = self.world.folder / "clock"
        shutil.rmtree(workdir, ignore_errors=True)
        shutil.copytree(self.unbroken / "artifacts/data", workdir / "artifacts/data")
        attempt = self.world.start(workdir, "classifier")
        while attempt.poll() is None and not list(
            workdir.glob("artifacts/classifier/*.partial/.scratch/checkpoints/*.index")
        ):
            time.sleep(0.005)
        attempt.signal(signal.SIGKILL)
        attempt.wait()
        self.world.start(workdir, "classifier", before=_set_clock_back).finish()
        if lines := differences(self.unbroken, workdir, "classifier"):
            raise LostData("; ".join(lines))
        text = self.world.start(workdir, "classifier").finish()
        assert "0 of 2 stages executed" in text, text[-300:]
        return "resumed, equal, and reused after it"

    def memory(self, stage: str, spare: int) -> str:
        """An address space (ulimit -v) that ends in the middle of the stage."""
        workdir = self.world.folder / "memory"
        shutil.rmtree(workdir, ignore_errors=True)
        kept = {"attack": ("data", "classifier"), "classifier": ("data",)}[stage]
        for kind in kept:
            shutil.copytree(self.unbroken / "artifacts" / kind, workdir / "artifacts" / kind)
        attempt = self.world.start(workdir, stage, before=lambda: _limit_memory(spare))
        status, text = attempt.wait(), attempt.text()
        # Where a C++ library cannot allocate it aborts the process, and the watcher speaks for it.
        time.sleep(0.2)
        lines = [line for line in attempt.text().splitlines() if line.startswith("error: ")]
        assert status and len(lines) == 1 and "out of memory" in lines[0], (
            f"status {status}: {text[-1000:]}"
        )
        line = lines[0]
        if lines := broken(workdir):
            raise LostData("; ".join(lines))
        self.world.start(workdir, stage).finish()
        if lines := differences(self.unbroken, workdir, stage):
            raise LostData("; ".join(lines))
        return line[:160]


def _limit_memory(spare: int) -> None:
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    limit = now + spare * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _become_nobody() -> None:
    os.setgid(_NOBODY)
    os.setuid(_NOBODY)


def _set_clock_back() -> None:
    now, local = time.time, time.localtime
    time.time = lambda: now() - _YEARS
    time.localtime = lambda seconds=None: local(now() - _YEARS if seconds is None else seconds)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _size_to(workdir: Path) -> int:
    """What data, classifier and adversarial sets take."""
    return sum(_size(workdir / "artifacts" / kind) for kind in ("data", "classifier", "attack"))


def _call(*command: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise Skipped(f"{' '.join(command[:3])}: {result.stderr.strip() or 'refused'}")


@contextlib.contextmanager
def _mounted(folder: Path, size: int) -> Iterator[None]:
    """A tmpfs of `size` bytes at `folder`; skips where mounting is impossible."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        raise Skipped("needs root and mount, for a small file system")
    folder.mkdir(exist_ok=True)
    _call("mount", "-t", "tmpfs", "-o", f"size={max(size, 4096 * 8)}", "tmpfs", str(folder))
    try:
        yield
    finally:
        _call("umount", "-l", str(folder))
