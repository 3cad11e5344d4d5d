"""A flipped byte, a truncated file, a deleted file in the artifact of every kind, and in what a
killed run left.

In a finished artifact it must be one line that names the file and the way out, and that way must
lead to the same artifact. In an unfinished one (shards, checkpoints) a resumed run must find it
itself.
"""

import random
import shutil
import signal
import time
from pathlib import Path

from pipeline.engine import artifacts
from tests.faults.compare import differences, finished
from tests.faults.score import LostData, Score
from tests.faults.world import World

HOWS = ("flipped byte", "truncated", "deleted")


class Damages:
    """Damages of a copy of the unbroken workdir."""

    def __init__(self, world: World, score: Score, unbroken: Path, seed: int) -> None:
        self.world, self.score, self.unbroken = world, score, unbroken
        self.workdir = world.folder / "damaged"
        self.random = random.Random(seed)
        shutil.rmtree(self.workdir, ignore_errors=True)
        shutil.copytree(unbroken / "artifacts", self.workdir / "artifacts")

    def finished(self, kind: str, hows: tuple[str, ...], rebuild: bool) -> None:
        """Each damage of a random file of a random artifact of `kind`; `rebuild`: the last one is
        also made anew.
        """
        for how in hows:
            last = rebuild and how == hows[-1]
            self.score.case(
                f"{how} (finished)",
                kind,
                lambda how=how, last=last: self._finished(kind, how, last),
            )

    def _finished(self, kind: str, how: str, rebuild: bool) -> str:
        folder = self.random.choice(
            [f for name, f in finished(self.workdir).items() if name.startswith(f"{kind}/")]
        )
        name = self.random.choice(
            [n for n in artifacts.content_files(folder) if (folder / n).stat().st_size]
        )
        kept = (folder / name).read_bytes()
        damage(folder / name, how, self.random)
        line = self.world.start(self.workdir, kind).refusal()
        assert str(folder / name) in line and f"delete {folder} and run again" in line, line
        if rebuild:
            shutil.rmtree(folder)
            self.world.start(self.workdir, kind).finish()
            if lines := differences(self.unbroken, self.workdir, kind):
                raise LostData("; ".join(lines))
            return "named, and rebuilt equal"
        (folder / name).write_bytes(kept)
        return "named"

    def unfinished(self, short: bool) -> None:
        """Shards and checkpoints of a run that was killed."""
        for how in HOWS[1:] if short else HOWS:
            if how != "flipped byte":  # A shard has no checksum before its manifest.
                self.score.case(
                    f"{how} (unfinished)", "attack: a shard", lambda how=how: self._shard(how)
                )
            self.score.case(
                f"{how} (unfinished)",
                "classifier: a checkpoint",
                lambda how=how: self._checkpoint(how),
            )
        self.score.case(
            "deleted (unfinished)",
            "classifier: all checkpoints",
            lambda: self._checkpoint("all deleted"),
        )

    def _shard(self, how: str) -> str:
        workdir = self._killed(
            "attack", "test-cw-*.partial/shard-00001-label.npy", ("data", "classifier")
        )
        (shard,) = workdir.glob("artifacts/attack/test-cw-*.partial/shard-00000-x_adv.npy")
        damage(shard, how, self.random)
        self.world.start(workdir, "attack").finish()
        if lines := differences(self.unbroken, workdir, "attack"):
            raise LostData("; ".join(lines))
        return "found and made anew"

    def _checkpoint(self, how: str) -> str:
        workdir = self._killed(
            "classifier", "*.partial/.scratch/checkpoints/ckpt-6.index", ("data",)
        )
        (folder,) = workdir.glob("artifacts/classifier/*.partial/.scratch/checkpoints")
        newest = sorted(
            folder.glob("ckpt-*.data*"), key=lambda path: int(path.name.split("-")[1].split(".")[0])
        )
        for path in newest if how == "all deleted" else newest[-1:]:
            damage(path, how.removeprefix("all "), self.random)
        self.world.start(workdir, "classifier").finish()
        if lines := differences(self.unbroken, workdir, "classifier"):
            raise LostData("; ".join(lines))
        return "found, and trained from an older one or from the start"

    def _killed(self, kind: str, until: str, kept: tuple[str, ...]) -> Path:
        workdir = self.world.folder / "unfinished"
        shutil.rmtree(workdir, ignore_errors=True)
        for upstream in kept:
            shutil.copytree(
                self.unbroken / "artifacts" / upstream, workdir / "artifacts" / upstream
            )
        attempt = self.world.start(workdir, kind)
        while attempt.poll() is None and not list((workdir / "artifacts" / kind).glob(until)):
            time.sleep(0.001)
        assert attempt.poll() is None, f"the run ended before the middle: {attempt.text()[-500:]}"
        attempt.signal(signal.SIGKILL)
        attempt.wait()
        return workdir


def damage(path: Path, how: str, source: random.Random) -> None:
    """One of HOWS."""
    content = bytearray(path.read_bytes())
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[: source.randrange(len(content))])
    else:
        content[source.randrange(len(content))] ^= 1 << source.randrange(8)
        path.write_bytes(content)
