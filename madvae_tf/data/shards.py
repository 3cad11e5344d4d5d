"""The files of one shard of an adversarial set: written whole or not at all, checked when they are
opened.
"""

import tokenize
from pathlib import Path

import numpy as np

from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.files import written
from madvae_tf.utils.images import SHAPES, is_image_shape

# Field -> dtype. Little-endian by name, so that the bytes are the same on every machine.
FIELDS = {"x_adv": np.dtype("<f4"), "index": np.dtype("<i8"), "label": np.dtype("<i8")}


def shard_path(folder: Path, k: int, field: str) -> Path:
    """Where `field` of shard `k` is."""
    return folder / f"shard-{k:05d}-{field}.npy"


def damaged(path: Path, fault: str) -> UserError:
    """The error for a file of a set that is not as it was written."""
    return UserError(
        f"Damaged adversarial set, {path}: {fault}; delete the folder and run again to rebuild it."
    )


def publish(path: Path, content: bytes | np.ndarray) -> None:
    """Writes bytes, or an array as .npy, to `path`, whole or not at all.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        with written(path, durable=True) as partial, partial.open("wb") as file:
            if isinstance(content, np.ndarray):
                np.lib.format.write_array(file, content, version=(1, 0), allow_pickle=False)
            else:
                file.write(content)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror or error}; expected a writable folder on a disk"
            " with room; free some space or choose another folder."
        ) from error


def write_shard(folder: Path, k: int, values: dict[str, np.ndarray]) -> None:
    """Writes the three files of shard `k`, in row-major order and the dtypes of FIELDS."""
    for field, dtype in FIELDS.items():
        publish(shard_path(folder, k, field), np.ascontiguousarray(values[field], dtype))


def open_shard(folder: Path, k: int) -> dict[str, np.ndarray]:
    """Field -> memory map of shard `k`: x_adv float32 (n, height, width, channels), index and label
    int64 (n,).

    Raises:
        UserError: a file is missing, truncated, too long, of another dtype or shape; the lengths
            differ.
    """
    shard = {
        field: _open_array(shard_path(folder, k, field), dtype, field == "x_adv")
        for field, dtype in FIELDS.items()
    }
    lengths = {field: len(values) for field, values in shard.items()}
    if len(set(lengths.values())) != 1:
        raise damaged(
            shard_path(folder, k, "x_adv"), f"received lengths {lengths}, expected equal ones"
        )
    return shard


def _open_array(path: Path, dtype: np.dtype, images: bool) -> np.ndarray:
    try:
        # np.load would take an archive for a set of arrays and keep it open; this one knows .npy
        # files only, and no pickles.
        values = np.lib.format.open_memmap(path, mode="r")
        received = path.stat().st_size
    except FileNotFoundError as error:
        raise damaged(path, "the file is missing") from error
    except (OSError, EOFError, ValueError, OverflowError, tokenize.TokenError) as error:
        cause = cause_of(error)
        raise damaged(path, f"not a whole .npy file ({cause})") from error
    fits = is_image_shape(values.shape[1:]) if images else values.ndim == 1
    if values.dtype != dtype or not fits:
        rows = SHAPES if images else "numbers"
        fault = f"received {values.dtype} {values.shape}, expected {dtype} rows of {rows}"
        raise damaged(path, fault)
    if received != values.offset + values.nbytes:
        raise damaged(path, f"received {received} bytes, expected {values.offset + values.nbytes}")
    return values
