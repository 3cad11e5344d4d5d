"""Progress bars with an ETA: lively on a terminal, a line now and then in a log file."""

import contextlib
import contextvars
import sys
from collections.abc import Iterator

from tqdm import tqdm

from madvae_tf.interrupts import raise_if_received

_SILENT = contextvars.ContextVar("silent", default=False)


@contextlib.contextmanager
def silent(yes: bool = True) -> Iterator[None]:
    """No bars of `progress_bar` within, if `yes`."""
    token = _SILENT.set(yes or _SILENT.get())
    try:
        yield
    finally:
        _SILENT.reset(token)


class _Bar(tqdm):
    """Every long loop moves a bar: so here an interrupt is heard that a library has swallowed."""

    def update(self, n: float | None = 1) -> bool | None:
        raise_if_received()
        return super().update(n)


def progress_bar(total: int, description: str, unit: str, done: int = 0) -> tqdm:
    """A bar on standard error; a context manager; `update(n)` moves it.

    Args:
        total: how many `unit`s there are.
        done: how many were done before.
    """
    seconds = 0.5 if sys.stderr.isatty() else 20.0
    return _Bar(
        total=total, initial=done, desc=description, unit=unit, mininterval=seconds, disable=_SILENT.get()
    )


def close_bars() -> None:
    """Ends the lines of bars that an exception has left open, so that what is said next begins on a line of its own."""
    for bar in list(getattr(_Bar, "_instances", ())):
        bar.close()
