"""What a trial has found so far, in a file that is whole or not there: an evaluation goes on where
it was stopped.
"""

import dataclasses
import glob
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import written

_FIELDS = ("right", "visited", "left", "key", "logits")
# How far logits of one model may lie apart on two machines, as a share of the largest.
_ROUNDING = 1e-4
# The least cosine between gradients of one model at one image on two machines, a ReLU's kink
# between them included.
_SAME_WAY = 0.999
_NO_GRADIENTS = np.zeros((0, 0), np.float32)


@dataclasses.dataclass
class Progress:
    """The state of one trial.

    Attributes:
        robust: bool (n,), classified right after every attack on it so far.
        visited: bool (n,), attacked in the run that is going on.
        n_robust: int64 (runs finished,), how many images were right after each run.
        x_adv: float32 (n, height, width, channels), where images are kept: the first that fooled
            the system, or the image as it was.
        unchanged: bool (n,), attacked, and every run gave the image back as it was.
    """

    robust: np.ndarray
    visited: np.ndarray
    n_robust: np.ndarray
    x_adv: np.ndarray | None = None
    unchanged: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, bool))


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


def _same_way(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two sets of gradients, (some, pixels), point the same way at every image; a gradient
    of zeros has no way but its own.
    """
    if one.shape != other.shape:
        return False
    sizes = [np.linalg.norm(each, axis=1) for each in (one, other)]
    cosines = (one * other).sum(axis=1) >= _SAME_WAY * sizes[0] * sizes[1]
    return bool((cosines & ((sizes[0] > 0) == (sizes[1] > 0))).all())


class TrialFile:
    """The file of one trial in a folder; without a folder nothing is kept.

    Label and key name it; of those that share them it is the one whose models said the same: two
    CPUs round differently, two models differ by more. So an evaluation can go on on another
    machine.

    Args:
        folder: made if it is not there.
        label, key: the trial's name, and `trial_key`.
        logits: float32, of the models that the trial is about, for a few images.
        reference_gradients: float32 (some, pixels), gradients of what is attacked, for some of
            these images: BPDA has the system's own logits, and two ways to its gradient are two
            trials. None, of a query attack: gradients do not tell trials apart.

    Raises:
        UserError: a file of this label and key cannot be read.
    """

    def __init__(
        self,
        folder: Path | None,
        label: str,
        key: str,
        logits: np.ndarray,
        reference_gradients: np.ndarray | None = None,
    ) -> None:
        self._key = key
        self._logits = logits
        self._climbs = reference_gradients is not None
        self._reference_gradients = (
            _NO_GRADIENTS if reference_gradients is None else reference_gradients
        )
        self._path = None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            name = f"{label}-{key[:16]}"
            same = [
                path
                for path in sorted(folder.glob(f"{glob.escape(name)}-*.npz"))
                if self._is_of_models(path)
            ]
            self._path = (
                same[0]
                if same
                else folder / f"{name}-{fingerprint(logits, self._reference_gradients)[:8]}.npz"
            )

    def load(self, n: int) -> Progress | None:
        """What was found before, or None.

        Raises:
            UserError: the file is another trial's.
        """
        if self._path is None or not self._path.exists():
            return None
        file = _read(self._path)
        found = _progress(file, self._path)
        if str(file["key"]) != self._key or len(found.robust) != n:
            raise _damaged(self._path, "it is of another trial")
        return found

    def _is_of_models(self, path: Path) -> bool:
        file = _read(path)
        theirs = file["logits"]
        if (theirs.shape, theirs.dtype) != (self._logits.shape, self._logits.dtype):
            return False
        room = _ROUNDING * max(1.0, float(np.abs(self._logits).max(initial=0.0)))
        close = bool(np.allclose(theirs, self._logits, rtol=0.0, atol=room, equal_nan=True))
        return close and (not self._climbs or _same_way(file["slopes"], self._reference_gradients))

    def save(self, progress: Progress) -> None:
        """Replaces the file."""
        if self._path is None:
            return
        images: dict[str, Any] = {} if progress.x_adv is None else {"x_adv": progress.x_adv}
        with written(self._path) as partial:
            np.savez(
                partial,
                right=progress.robust,
                visited=progress.visited,
                left=progress.n_robust,
                key=np.array(self._key),
                logits=self._logits,
                slopes=self._reference_gradients,
                unchanged=progress.unchanged,
                **images,
            )


def read_progress(path: Path) -> Progress:
    """The state in a trial's file.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    return _progress(_read(path), path)


def _progress(file: dict[str, np.ndarray], path: Path) -> Progress:
    robust = file["right"]
    found = Progress(
        robust,
        file["visited"],
        file["left"],
        file.get("x_adv"),
        file.get("unchanged", np.zeros(robust.shape, bool)),
    )
    whole = all(part.ndim == 1 and part.dtype == bool for part in (found.robust, found.visited))
    if not whole or found.robust.shape != found.visited.shape or found.n_robust.ndim != 1:
        raise _damaged(path, "it is no trial's")
    return found


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            found = {name: file[name] for name in _FIELDS}
            # Files of before there were any have none.
            found |= {"slopes": file.get("slopes", _NO_GRADIENTS)}
            return found | {name: file[name] for name in ("x_adv", "unchanged") if name in file}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, how: str) -> UserError:
    return UserError(
        f"Damaged file of a robustness trial: {path} ({how}); delete it and run again."
    )
