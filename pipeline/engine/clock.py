"""Time and peak memory of a stage over all its attempts, kept in a file so that a kill loses little
of them.
"""

import contextlib
import json
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from madvae_tf.utils.files import write_json
from madvae_tf.utils.machine import PeakMemory

_BEAT_SECONDS = 5.0


class StageClock:
    """A context manager around a stage's work; `totals` counts earlier attempts too, killed ones
    included.

    A thread writes the file every few seconds, so an attempt that is killed is counted up to then.
    """

    def __init__(self, path: Path) -> None:
        """`path`: the file, in a folder that stays when the process is killed."""
        self._path = path
        self._seconds, self._attempts, self._peak = _read(path)
        self._attempts += 1
        self._memory = PeakMemory()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="stage-clock", daemon=True)

    def __enter__(self) -> "StageClock":
        self._start = time.monotonic()
        self._write()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join()
        self._seconds += time.monotonic() - self._start
        self._start = time.monotonic()
        self._write()

    def totals(self) -> dict[str, Any]:
        """`seconds` and `attempts` over all attempts, `peak_memory_bytes` of the process within
        them (None: not known).
        """
        peak = self._memory.bytes()
        self._peak = peak if self._peak is None else max(self._peak, peak or 0)
        return {
            "seconds": round(self._seconds, 3),
            "attempts": self._attempts,
            "peak_memory_bytes": self._peak,
        }

    def _beat(self) -> None:
        while not self._stopped.wait(_BEAT_SECONDS):
            self._write()

    def _write(self) -> None:
        running = 0.0 if self._stopped.is_set() else time.monotonic() - self._start
        # A full disk is the stage's error to report, not the clock's.
        with contextlib.suppress(OSError):
            write_json(self._path, {**self.totals(), "seconds": round(self._seconds + running, 3)})


def _read(path: Path) -> tuple[float, int, int | None]:
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
        peak = earlier["peak_memory_bytes"]
        return (
            float(earlier["seconds"]),
            int(earlier["attempts"]),
            None if peak is None else int(peak),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, 0, None
