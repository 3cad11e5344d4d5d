"""The one exception for a user's mistake, and the one way to look a name up in a registry.

A `UserError` carries one line that says what was received, what is valid, and the way out; the
command line prints it without a traceback.
"""

import contextlib
import difflib
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from madvae_tf.utils import signals
from madvae_tf.utils.progress import close_bars

Entry = TypeVar("Entry")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_UNREGISTERED = re.compile(r"Could not (?:locate|find) (class|function) '([^']+)'")
# What begins a dump in the errors of Keras and TensorFlow.
_DUMPS = (
    "Full object config:",
    "Arguments received by",
    "Detected at node",
    "[[{{node",
    "<stack traces",
    "\nStack trace",
    "Traceback (most",
)


class UserError(ValueError):
    """A mistake of the caller's: bad configuration, bad input, a damaged artifact, a full disk."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not among `known`; names the nearest known one where there is
    one.
    """
    known = list(known)
    nearest = difflib.get_close_matches(str(name), known, n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return UserError(f"Unknown {kind} {name!r}.{hint} Expected one of: {', '.join(known)}.")


def lookup(registry: Mapping[str, Entry], name: str, kind: str) -> Entry:
    """`registry[name]`, or a `UserError` that lists the known names.

    Args:
        registry: name -> entry.
        name: what to look up.
        kind: what the registry holds, for the message ("attack", "variant", ...).
    """
    if name not in registry:
        raise unknown_name(kind, name, registry)
    return registry[name]


def cause_of(error: BaseException, length: int = 300) -> str:
    """What a library's error says, as one line of at most `length` characters; never empty.

    Colours, stack traces and dumps of whole configurations are left out, and of Keras' page about a
    class that it does not know the class remains.
    """
    text = _COLOURS.sub("", str(error))
    if unknown := _UNREGISTERED.search(text):
        kind, name = unknown.groups()
        return (
            f"it uses the {kind} {name!r}, which is not registered; import the module that"
            " registers it"
        )
    for dump in _DUMPS:
        text = text.partition(dump)[0]
    text = " ".join(text.split()).rstrip(" :;,")
    if len(text) > length:
        text = f"{text[: length - 3]}..."
    return text or type(error).__name__


@contextlib.contextmanager
def as_one_line(interrupted: str) -> Iterator[None]:
    """For a command: a `UserError` within becomes one line on standard error and exit status 2.

    Ctrl-C ends it with status 130 and SIGTERM with 143, as shells have them, after what is open has
    been closed.

    Args:
        interrupted: the line that those two get.
    """
    try:
        with signals.noted():
            yield
    except BaseException as error:
        close_bars()
        # Asked first: what a library makes of an interrupt may be any error.
        if (number := signals.received()) is not None or isinstance(error, KeyboardInterrupt):
            sys.stderr.write(f"{interrupted}\n")
            sys.exit(128 + (number or signal.SIGINT))
        if isinstance(error, UserError):
            sys.stderr.write(f"error: {error}\n")
            sys.exit(2)
        raise
