"""Files and folders that appear whole or not at all, whenever the process is killed."""

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from madvae_tf.utils.machine import put_folder


@contextlib.contextmanager
def written(path: Path, durable: bool = False) -> Iterator[Path]:
    """Gives a path beside `path`, with its suffix; the file that the body writes there becomes
    `path` in one step.

    Where the body fails, `path` is as it was. The folder of `path` is made.

    Args:
        path: the file.
        durable: also survive a power failure (fsync of the file and of its folder).
    """
    partial = path.with_name(f".partial-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if durable:
            _sync(partial)
        partial.replace(path)
        if durable:
            sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def written_folder(folder: Path) -> Iterator[Path]:
    """Gives a new folder beside `folder`; what the body writes there becomes `folder` in one step,
    in the place of what was there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as scratch:
        partial = Path(scratch) / "new"
        partial.mkdir()
        yield partial
        put_folder(partial, folder)


def write_json(path: Path, value: Any, durable: bool = False) -> None:
    """Writes `value` as indented JSON with sorted keys, whole or not at all; `durable` as in
    `written`.

    Raises:
        TypeError: a value that JSON does not have.
        ValueError: NaN or infinity.
    """
    text = json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n"
    with written(path, durable) as partial:
        partial.write_text(text, encoding="utf-8")


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Makes renames in `folder` survive a power failure."""
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
