"""What a machine can refuse: the lock of a workdir; full or unwritable disks and too little memory
as one clear line.
"""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterator
from pathlib import Path

from madvae_tf.utils.errors import UserError

LOCK = ".lock"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_FULL = {errno.ENOSPC, errno.EDQUOT}
_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# TensorFlow, HDF5 and NumPy report a failed write without an errno; NumPy's short write is the last
# of these.
_FULL_TEXT = re.compile(
    r"No space left on device|Disk quota exceeded|\d+ requested and \d+ written"
)
_REFUSED_TEXT = re.compile(r"Permission denied|Read-only file system|Operation not permitted")
# TensorFlow's allocator, its C++ libraries, oneDNN.
_MEMORY_TEXT = re.compile(
    r"OOM when allocating|failed to allocate memory|Out of memory|std::bad_alloc|Cannot allocate"
    r" memory"
    r"|could not create a memory|can't start new thread|Unable to allocate"
)


def check_workdir(workdir: Path) -> None:
    """Refuses a workdir that is there and is not a folder, or is in an object store, with a
    `UserError`.
    """
    # A Path has one of the two slashes of "gs://bucket" left, and would be a folder named "gs:".
    if _SCHEME.fullmatch(workdir.parts[0] if workdir.parts else ""):
        raise UserError(
            f"Cannot use workdir {'//'.join(str(workdir).split('/', 1))}: artifacts are renamed and"
            " read through memory maps, which an object store does not have; choose a folder of a"
            " file system with --workdir, and with --engine=beam a --store for the shards."
        )
    if workdir.exists() and not workdir.is_dir():
        raise UserError(
            f"Cannot use workdir {workdir}: it is not a folder; choose a folder with --workdir."
        )


@contextlib.contextmanager
def lock_workdir(workdir: Path) -> Iterator[int]:
    """Creates `workdir` and holds it for this process; the system frees it however the process
    ends.

    Yields the lock's descriptor: a child that inherits it holds the workdir as well.

    Raises:
        UserError: another process holds it, or it cannot be created, written or locked.
    """
    check_workdir(workdir)
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(workdir / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(
            f"Cannot use workdir {workdir}: {error.strerror}; choose a folder that can be written"
            " with --workdir."
        ) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
            raise UserError(
                f"Workdir {workdir} is in use by process {holder}; wait for it to end, or choose"
                " another --workdir."
            ) from None
        except OSError as error:
            raise UserError(
                f"Cannot lock workdir {workdir}: {error.strerror}; choose a folder on a local disk"
                " with --workdir."
            ) from None
        with disk_errors("The start of the run", workdir):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def disk_errors(what: str, folder: Path) -> Iterator[None]:
    """Turns a full or unwritable disk and too little memory, however a library reports it, into a
    `UserError`.

    The rest propagates.

    Args:
        what: what was being done, for the message ("Stage attack train-fgsm-0.25").
        folder: where it was written; what is there stays, for the next run to go on from.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        where = getattr(error, "filename", None) or folder
        if _is(error, _FULL, _FULL_TEXT):
            raise UserError(
                f"{what} stopped: no space left on the disk of {where}; free some, or choose"
                " another --workdir, and run again: it goes on from what is done."
            ) from error
        if _is(error, _REFUSED, _REFUSED_TEXT):
            raise UserError(
                f"{what} stopped: no permission for {where}; make it accessible, or choose another"
                " --workdir, and run again: it goes on from what is done."
            ) from error
        if isinstance(error, MemoryError) or _is(error, {errno.ENOMEM}, _MEMORY_TEXT):
            raise UserError(
                f"{what} stopped: out of memory; free some or raise its limit (ulimit -v), or set"
                " smaller batches, and run again: it goes on from what is done."
            ) from error
        raise


def _is(error: BaseException, numbers: set[int], text: re.Pattern[str]) -> bool:
    """Whether the error, or the one that it was raised from, has one of the numbers or, without
    any, the text.
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in numbers
    return text.search(str(error)) is not None or (
        error.__cause__ is not None and _is(error.__cause__, numbers, text)
    )
