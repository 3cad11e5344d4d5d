"""NPZ files of images and labels."""

import contextlib
import functools
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from madvae_tf.data.parts import WHOLE, Parts, Raw
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import Shape

# Names of images and labels: in two parts, for a train and a test one, or in one.
_IN_PARTS = (("x_{}", "y_{}"), ("X_{}", "y_{}"), ("{}_images", "{}_labels"), ("{}_x", "{}_y"))
_PAIRS = (
    *(("images", "labels"), ("image", "label"), ("x", "y"), ("X", "y")),
    *(("data", "labels"), ("data", "target"), ("arr_0", "arr_1")),
)
_TEST = ("test", "val", "validation")  # the first that is there
# What a damaged or malicious archive makes zipfile, zlib and NumPy raise; the memory is what its
# header claims to need.
_UNREADABLE = (
    *(OSError, ValueError, EOFError, KeyError, OverflowError, MemoryError, NotImplementedError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


def is_npz(path: Path) -> bool:
    """Whether a file is one, whatever it is called."""
    return path.is_file() and (path.suffix == ".npz" or zipfile.is_zipfile(path))


def open_npz(path: Path, shape: Shape) -> Parts:
    """The parts of an NPZ file. Raises `UserError` where it holds none, or is damaged."""
    del shape  # Arrays have their own.
    with _opened(path) as arrays:
        names = arrays.files
    found = {}
    for images, labels in _IN_PARTS:
        for part, words in {"train": ("train",), "test": _TEST}.items():
            pairs = ((images.format(word), labels.format(word)) for word in words)
            pair = next((pair for pair in pairs if set(pair) <= set(names)), None)
            if pair and part not in found:
                found[part] = pair
    if not found:
        whole = next((pair for pair in _PAIRS if set(pair) <= set(names)), None)
        found = {WHOLE: whole} if whole else {}
    if not found:
        known = [*(tuple(n.format("train") for n in pair) for pair in _IN_PARTS), *_PAIRS]
        raise UserError(
            f"{path} holds {', '.join(names) or 'nothing'}; expected images and labels under one"
            f" of these pairs of names: {', '.join('/'.join(pair) for pair in known)}."
        )
    return {part: functools.partial(_read, path, *pair) for part, pair in found.items()}


def _read(path: Path, images: str, labels: str) -> Raw:
    with _opened(path) as arrays:
        return arrays[images], arrays[labels], None


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Raises `UserError` where the file is no NPZ, or what is read within is damaged."""
    try:
        with path.open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise UserError(f"{path} is one array; expected an NPZ file of images and labels.")
            with arrays:
                yield arrays
    except UserError:
        raise
    except _UNREADABLE as error:
        raise UserError(
            f"Cannot read {path}: {cause_of(error)}; expected an NPZ file of plain arrays."
        ) from error
