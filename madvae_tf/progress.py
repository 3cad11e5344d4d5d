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


def is_silent() -> bool:
    """Whether bars and lines are left out here."""
    return _SILENT.get()


def say(line: str) -> None:
    """A line on standard error, above the bars; nothing where these are silent."""
    if not _SILENT.get():
        tqdm.write(line, file=sys.stderr)


def progress_bar(
    total: float, description: str, unit: str, done: int = 0, bar_format: str | None = None
) -> tqdm:
    """A bar on standard error; a context manager; `update(n)` moves it.

    Args:
        total: how many `unit`s there are.
        done: how many were done before.
        bar_format: tqdm's, where the bar has a form of its own.
    """
    seconds = 0.5 if sys.stderr.isatty() else 20.0
    return _Bar(
        total=total,
        initial=done,
        desc=description,
        unit=unit,
        mininterval=seconds,
        disable=_SILENT.get(),
        bar_format=bar_format,
    )


def close_bars() -> None:
    """Ends the lines of bars that an exception has left open, so that what is said next begins on a line of its own."""
    for bar in list(getattr(_Bar, "_instances", ())):
        bar.close()
