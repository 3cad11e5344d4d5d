"""What every command of the project begins with: no line of a library's, one line for a mistake,
help with status 0.

For a process of the project's own only: the library leaves logging, warnings and the environment of
whoever imports it alone.
"""

import argparse
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import logging as std_logging
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from madvae_tf.utils.errors import as_one_line
from madvae_tf.utils.progress import write_line

_LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_HOME = Path(__file__).resolve().parents[1]
# In an installation `pipeline` lies inside this package, in a checkout beside it, as the benchmarks
# do.
_OURS = (_HOME, _HOME.parent / "pipeline", _HOME.parent / "benchmarks")
_HELP = ("-h", "--h", "-help", "--help", "-helpshort", "--helpshort", "-?")
# Drops what TensorFlow's C++ libraries say while they load, whatever the level: that oneDNN is on,
# that there is no CUDA. The rest passes. A process of its own, so that the last line of one that is
# aborted passes, too.
_SIEVE = r"""
import re, sys
noise = re.compile(
    rb"[IW]\d{4} [\d:.]+ +\d+ \S+\.cc:\d+\]|To enable the following instructions:"
    rb"|WARNING: All log messages before absl::InitializeLog"
    rb"|E\d{4} [\d:.]+ +\d+ \S+\.cc:\d+\] (failed call to cuInit|Unable to register cu\w+ factory)"
)
for line in sys.stdin.buffer:
    if not noise.match(line):
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()
"""


def quiet() -> None:
    """Keeps the libraries' start-up lines, warnings and messages below an error from standard
    error, in this process and those that it starts.

    Call it before TensorFlow is loaded. A user who sets TF_CPP_MIN_LOG_LEVEL sees what C++
    libraries say, and with -W or PYTHONWARNINGS warnings.
    """
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    # Set by us, and not by the user, where a process that started this one has loaded TensorFlow
    # quietly.
    if os.environ.get(_LEVEL, "") in ("", "2") and "tensorflow" not in sys.modules:
        os.environ[_LEVEL] = "2"
        if not any(isinstance(finder, _QuietLoad) for finder in sys.meta_path):
            sys.meta_path.insert(0, _QuietLoad())
    # On the root logger, and before TensorFlow looks whether there is one: its own then adds none.
    std_logging.root.handlers[:] = [_Lines()]


class _Lines(std_logging.Handler):
    """The project's messages, and errors of the libraries', as lines "15:04:05 message"."""

    def filter(self, record: std_logging.LogRecord) -> bool:
        ours = any(Path(record.pathname).is_relative_to(room) for room in _OURS)
        return ours or record.levelno >= std_logging.ERROR

    def emit(self, record: std_logging.LogRecord) -> None:
        level = "" if record.levelno < std_logging.WARNING else f"{record.levelname.lower()}: "
        stamp = time.strftime("%H:%M:%S", time.localtime(record.created))
        try:
            write_line(f"{stamp} {level}{record.getMessage()}")
        except Exception:
            self.handleError(record)


class _QuietLoad(importlib.abc.MetaPathFinder):
    """Loads TensorFlow, whenever that is, with the sieve before descriptor 2."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        load = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            with _sieved():
                load(module)
                # The first look for devices speaks of CUDA, too; what fails here fails where they
                # are used.
                with contextlib.suppress(Exception):
                    module.config.list_physical_devices()

        spec.loader.exec_module = exec_module  # pyright: ignore[reportAttributeAccessIssue]
        return spec


@contextlib.contextmanager
def _sieved() -> Iterator[None]:
    kept = os.dup(2)
    try:
        sieve = subprocess.Popen(  # noqa: S603
            [sys.executable, "-I", "-S", "-c", _SIEVE],
            stdin=subprocess.PIPE,
            stdout=kept,
            start_new_session=True,  # Ctrl-C is for the command.
        )
    except OSError:
        os.close(kept)
        yield
        return
    assert sieve.stdin is not None
    os.dup2(sieve.stdin.fileno(), 2)
    sieve.stdin.close()
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        sieve.wait()


def run(
    main: Callable[[Sequence[str]], None],
    document: str,
    own_flags: Iterable[str],
    interrupted: str = "interrupted",
    level: int = logging.INFO,
) -> None:
    """Entry point of a command with absl's flags; does not return.

    Status 0 for --help and -h, 2 for a mistake in the flags and for a `UserError`, with one line on
    standard error.

    Args:
        main: gets the program's name and the arguments that are no flags.
        document: what --help says before the flags.
        own_flags: the names of the flags that --help shows.
        interrupted: the line that Ctrl-C and SIGTERM get.
        level: of the project's messages.
    """
    quiet()
    logging.set_verbosity(level)
    sys.modules["__main__"].__doc__ = document
    for name in own_flags:
        # --help shows the flags of the program's own module, which may be a script that pip wrote.
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flags.FLAGS[name])

    def parse(argv: Sequence[str]) -> list[str]:
        asked = argv[1 : argv.index("--")] if "--" in argv else argv[1:]
        if any(argument in _HELP for argument in asked):
            app.usage(writeto_stdout=True, shorthelp=True)
            sys.exit(0)
        try:
            return flags.FLAGS(argv)
        except flags.Error as error:
            sys.stderr.write(f"error: {error}; --help shows the flags.\n")
            sys.exit(2)

    def guarded(argv: Sequence[str]) -> None:
        # absl has put its own handler there meanwhile.
        quiet()
        with as_one_line(interrupted):
            main(argv)

    app.run(guarded, flags_parser=parse)


def existing_file(text: str) -> Path:
    """A type of argparse's arguments."""
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"no file {text!r}")
    return Path(text)


def parser(document: str, **options: Any) -> argparse.ArgumentParser:
    """The parser of a command with argparse's arguments; --help shows `document` as it is written."""  # noqa: E501
    return argparse.ArgumentParser(
        description=document, formatter_class=argparse.RawDescriptionHelpFormatter, **options
    )
