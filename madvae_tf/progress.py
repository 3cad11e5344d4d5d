"""Progress bars with an ETA: lively on a terminal, a line now and then in a log file."""

import sys

from tqdm import tqdm


def progress_bar(total: int, description: str, unit: str, done: int = 0) -> tqdm:
    """A bar on standard error; a context manager; `update(n)` moves it.

    Args:
        total: how many `unit`s there are.
        done: how many were done before.
    """
    seconds = 0.5 if sys.stderr.isatty() else 20.0
    return tqdm(total=total, initial=done, desc=description, unit=unit, mininterval=seconds)
