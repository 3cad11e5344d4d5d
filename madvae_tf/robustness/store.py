"""What a trial has found so far, in a file that is whole or not there: an evaluation goes on where it was stopped."""

import dataclasses
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.errors import UserError


@dataclasses.dataclass
class Progress:
    """The state of one trial.

    Attributes:
        right: bool (n,), classified right after every attack on it so far.
        visited: bool (n,), attacked in the run that is going on.
        left: int64 (runs finished,), how many images were right after each run.
    """

    right: np.ndarray
    visited: np.ndarray
    left: np.ndarray


def fingerprint(*arrays: np.ndarray) -> str:
    """SHA-256 of the arrays' types, shapes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        array = np.ascontiguousarray(array)
        digest.update(f"{array.dtype.str}{array.shape}".encode("ascii"))
        digest.update(array.tobytes())
    return digest.hexdigest()


def trial_key(facts: dict[str, Any]) -> str:
    """SHA-256 of everything that a trial's result depends on, as JSON."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, allow_nan=False).encode()).hexdigest()


class TrialFile:
    """The file of one trial in a folder, named by label and key; without a folder nothing is kept."""

    def __init__(self, folder: Path | None, label: str, key: str) -> None:
        self._key = key
        self._path = None if folder is None else Path(folder) / f"{label}-{key[:16]}.npz"
        if folder is not None:
            Path(folder).mkdir(parents=True, exist_ok=True)

    def load(self, n: int) -> Progress | None:
        """What was found before, or None.

        Raises:
            UserError: the file cannot be read or is another trial's.
        """
        if self._path is None or not self._path.exists():
            return None
        try:
            with self._path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                found = Progress(file["right"], file["visited"], file["left"])
                key = str(file["key"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise self._damaged(str(error)) from None
        fits = all(part.shape == (n,) and part.dtype == bool for part in (found.right, found.visited))
        if key != self._key or not fits or found.left.ndim != 1:
            raise self._damaged("it is of another trial")
        return found

    def save(self, progress: Progress) -> None:
        """Replaces the file."""
        if self._path is None:
            return
        temporary = self._path.with_name(f".{self._path.name}.tmp")
        with temporary.open("wb") as file:
            np.savez(
                file,
                right=progress.right,
                visited=progress.visited,
                left=progress.left,
                key=np.array(self._key),
            )
        temporary.replace(self._path)

    def _damaged(self, how: str) -> UserError:
        return UserError(
            f"Damaged file of a robustness trial: {self._path} ({how}); delete it and run again."
        )
