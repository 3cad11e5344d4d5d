"""What the operating system says of this machine and process, or does for it, where systems differ."""  # noqa: E501

import ctypes
import errno
import os
import resource
import sys
from pathlib import Path

_AT_FDCWD, _EXCHANGE = -100, 2
# What systems and file systems answer that cannot exchange two folders.
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def usable_cores() -> int:
    """The CPU cores that this process may use; at least 1."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class PeakMemory:
    """The largest resident size of this process since the object was made.

    One object at a time: the next one starts Linux' mark anew.
    """

    def __init__(self) -> None:
        self._restarted = _restart_peak()
        self._before = _lifetime_peak()

    def bytes(self) -> int | None:
        """None where the system keeps one mark for the process's whole life, and it was higher
        earlier.
        """
        if self._restarted and (peak := _status_peak()) is not None:
            return peak
        lifetime = _lifetime_peak()
        return lifetime if lifetime > self._before else None


def _restart_peak() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def _status_peak() -> int | None:
    for line in (
        Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    ):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return None


def _lifetime_peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def put_folder(new: Path, destination: Path) -> None:
    """Makes the folder `new` the folder `destination`; what was there before is then at `new`.

    A reader of `destination` sees the old folder or the new one: the two are exchanged in one step.
    Where the system or the file system has no such step, there are two, with a moment between them
    without `destination`.
    """
    if not destination.exists():
        new.rename(destination)
        return
    try:
        _exchange(new, destination)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        old = new.with_name(f"{new.name}.old")
        destination.rename(old)
        new.rename(destination)
        old.rename(new)


def _exchange(one: Path, other: Path) -> None:
    """Raises OSError, with an errno of `_CANNOT` where there is no such operation."""
    library, paths = ctypes.CDLL(None, use_errno=True), (os.fsencode(one), os.fsencode(other))
    if hasattr(library, "renameat2"):  # Linux, glibc 2.28
        status = library.renameat2(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _EXCHANGE)
    elif hasattr(library, "renamex_np"):  # macOS
        status = library.renamex_np(*paths, _EXCHANGE)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if status:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))
