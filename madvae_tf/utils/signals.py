"""Ctrl-C and SIGTERM, kept in mind: an exception alone does not always arrive.

Python raises it wherever the program happens to be. Where that is a callback from a C++ library,
the library may report it as an error of its own, or drop it. So the signal is noted as well: loops
ask for it, and an error that follows it counts as the end that was asked for.
"""

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

_DEFAULTS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
_received: list[signal.Signals] = []


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a service manager, a scheduler or `kill` asks a process to end with."""


@contextlib.contextmanager
def noted() -> Iterator[None]:
    """Notes SIGINT and SIGTERM and raises KeyboardInterrupt or `Terminated` for them, in the main
    thread.

    A signal that the program around ignores or handles itself is left to it.
    """
    ours = [
        number
        for number, default in _DEFAULTS.items()
        if threading.current_thread() is threading.main_thread()
        and signal.getsignal(number) is default
    ]
    if ours:
        _received.clear()
    for number in ours:
        signal.signal(number, _note)
    unraisable, uncaught = sys.unraisablehook, sys.excepthook
    if ours:
        # What a finalizer or a C++ library prints of it, as KeyboardInterrupt or as an error of its
        # own, is none of the user's.
        sys.unraisablehook = lambda what: None if _received else unraisable(what)
        sys.excepthook = lambda *what: None if _received else uncaught(*what)
    try:
        yield
    finally:
        sys.unraisablehook, sys.excepthook = unraisable, uncaught
        for number in ours:
            signal.signal(number, _DEFAULTS[number])


def received() -> signal.Signals | None:
    """The first signal that came within the last `noted`."""
    return _received[0] if _received else None


def raise_if_received() -> None:
    """Raises for a signal whose own exception did not arrive, or did and became another one."""
    if _received:
        raise _exception(_received[0])


def _note(number: int, frame: FrameType | None) -> None:
    _received.append(signal.Signals(number))
    raise _exception(_received[-1])


def _exception(number: signal.Signals) -> KeyboardInterrupt:
    return Terminated() if number == signal.SIGTERM else KeyboardInterrupt()
