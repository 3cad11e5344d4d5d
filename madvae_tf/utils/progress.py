"""Progress bars with an ETA: lively on a terminal and in a notebook; elsewhere a line every ten
minutes, so that a log stays short.
"""

import contextlib
import contextvars
import itertools
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tqdm import tqdm

from madvae_tf.utils.signals import raise_if_received

_SILENT = contextvars.ContextVar("silent", default=False)
_TITLE = contextvars.ContextVar("title", default="")
_LIVELY_SECONDS, _LOG_SECONDS = 0.5, 600.0
_numbers = itertools.count()


class Moved(NamedTuple):
    """Where a bar stands, for another process to draw; `number` tells the bars of one process
    apart.
    """

    number: int
    title: str
    unit: str
    total: float
    done: float
    note: str = ""
    bar_format: str | None = None


_elsewhere: Callable[[str | Moved], None] | None = None


def send_to(where: Callable[[str | Moved], None] | None) -> None:
    """From now on this process draws no bars and writes no lines: `where` is told of both. None
    ends that.
    """
    global _elsewhere
    _elsewhere = where


@contextlib.contextmanager
def silent(yes: bool = True) -> Iterator[None]:
    """No bars of `progress_bar` within, if `yes`."""
    token = _SILENT.set(yes or _SILENT.get())
    try:
        yield
    finally:
        _SILENT.reset(token)


@contextlib.contextmanager
def titled(title: str) -> Iterator[None]:
    """Bars within have this title in the place of their own and leave no line when they end, and
    `say` says nothing: a log has lines of its own.

    Inner titles follow outer ones.
    """
    token = _TITLE.set(", ".join(filter(None, (_TITLE.get(), title))))
    try:
        yield
    finally:
        _TITLE.reset(token)


class _Bar(tqdm):
    """Every long loop moves a bar: so here an interrupt is heard that a library has swallowed."""

    def __init__(
        self, title: str, unit: str, total: float, done: float, leave: bool, bar_format: str | None
    ) -> None:
        hidden = _SILENT.get()
        super().__init__(
            total=total,
            initial=done,
            desc=title,
            unit=unit,
            mininterval=_LIVELY_SECONDS,
            leave=leave,
            bar_format=bar_format,
            disable=hidden or _elsewhere is not None or not _lively(),
        )
        self._title, self._own_unit, self._form, self._hidden = title, unit, bar_format, hidden
        self._number = next(_numbers)
        self._start = self._told = time.monotonic()
        self._first = done

    def update(self, n: float | None = 1) -> bool | None:
        raise_if_received()
        if not self.disable:
            return super().update(n)
        self.n += n or 0
        if not self._hidden:
            self._tell()
        return None

    def set_description(self, desc: str | None = None, refresh: bool | None = True) -> None:
        """What is going on; after the title, where there is one."""
        self._title = ", ".join(filter(None, (_TITLE.get(), desc)))
        super().set_description(self._title, refresh)

    def follow(self, place: Moved) -> None:
        """For a bar of another process: where it stands now."""
        self.total = place.total
        if place.title != self._title:
            self._title = place.title
            super().set_description(place.title, refresh=False)
        if place.note and not self.disable:
            self.set_postfix_str(place.note, refresh=False)
        self.update(place.done - self.n)

    def _tell(self) -> None:
        """What is not drawn: told elsewhere twice a second, or written now and then."""
        now = time.monotonic()
        if _elsewhere is not None:
            if now - self._told >= _LIVELY_SECONDS:
                self._told = now
                note = getattr(self, "postfix", None) or ""
                what = (self._number, self._title, self._own_unit)
                _elsewhere(Moved(*what, self.total, self.n, note, self._form))
        elif now - self._told >= _LOG_SECONDS and self.n > self._first:
            self._told = now
            left = (now - self._start) * (self.total - self.n) / (self.n - self._first)
            write_line(f"{self._title}: {self.n / self.total:.0%}, {duration(left)} left")


def _lively() -> bool:
    """Whether a bar can be drawn over: a notebook's standard error is no terminal, and can."""
    return sys.stderr.isatty() or type(sys.stderr).__module__.startswith("ipykernel")


def progress_bar(
    total: float, description: str, unit: str, done: float = 0, bar_format: str | None = None
) -> Any:
    """A bar on standard error; a context manager; `update(n)` moves it.

    Args:
        total: how many `unit`s there are.
        description: what the bar is called, unless it is `titled`.
        done: how many were done before.
        bar_format: tqdm's, where the bar has a form of its own.
    """
    title = _TITLE.get()
    return _Bar(title or description, unit, total, done, leave=not title, bar_format=bar_format)


def is_silent() -> bool:
    """Whether bars are left out here."""
    return _SILENT.get()


def say(line: str) -> None:
    """A line on standard error, above the bars; nothing where these are silent or `titled`."""
    if not _SILENT.get() and not _TITLE.get():
        write_line(line)


def write_line(text: str) -> None:
    """A line on standard error, above the bars that are drawn."""
    if _elsewhere is not None:
        _elsewhere(text)
    else:
        _Bar.write(text, file=sys.stderr)


def duration(seconds: float) -> str:
    """Like "about 40 s", "about 5 min", "about 3 h"."""
    if seconds < 120:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 7200 else f"about {seconds / 3600:.0f} h"


def close_bars() -> None:
    """Ends the lines of bars that an exception has left open, so that what is said next begins on a
    line of its own.
    """
    for bar in list(getattr(_Bar, "_instances", ())):
        bar.close()
