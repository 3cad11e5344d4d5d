"""Reads IDX files, the format of MNIST and its relatives, plain or gzipped.

An IDX file is two zero bytes, a type code (8: unsigned byte), the number of dimensions, each
dimension as a big-endian 32-bit integer, then the values in row-major order
(http://yann.lecun.com/exdb/mnist).
"""

import functools
import gzip
import hashlib
import io
import math
import zlib
from pathlib import Path

import numpy as np

from madvae_tf.data.parts import Parts, Raw
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import SHAPES, Shape, is_image_shape

FILE_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
DAMAGED = (OSError, EOFError, zlib.error)  # what `decompress` raises on a damaged gzip stream
_LARGEST = 2**30  # MNIST's largest file has 47,040,016 bytes.
_GZIP_MAGIC = b"\x1f\x8b"
_UNSIGNED_BYTE = 8
_WAY_OUT = "copy the original file again, or leave data.path empty to have it fetched."


def locate(folder: Path, name: str) -> Path:
    """The file in `folder` that holds `name`: itself or gzipped, spelt `-idx3-` or `.idx3-`, or
    after the name of its data set and with `test` for `t10k`, as EMNIST's.

    Raises:
        UserError: there is none, or there are several.
    """
    spellings = (name, name.replace("-idx", ".idx"))
    candidates = [spelling + suffix for spelling in spellings for suffix in ("", ".gz")]
    for candidate in candidates:
        if (folder / candidate).is_file():
            return folder / candidate
    others = sorted(folder.glob(f"*-{name.replace('t10k', 'test')}*"))
    if len(others) > 1:
        raise UserError(
            f"Several data sets in {folder}: {others[0].name}, {others[1].name}; put each into a"
            " folder of its own."
        )
    if others:
        return others[0]
    raise UserError(
        f"Missing IDX file in {folder}: received none of {', '.join(candidates)}; {_WAY_OUT}"
    )


def holds_idx(folder: Path) -> bool:
    """Whether it is a folder with IDX files in it, by their names."""
    return any(folder.glob("*-idx?-ubyte*")) or any(folder.glob("*.idx?-ubyte*"))


def decompress(content: bytes) -> bytes:
    """`content` without gzip, which is told by its first bytes: browsers unpack a .gz and keep its
    name.

    Raises:
        DAMAGED: the stream is damaged, or would fill the memory with more than `_LARGEST` bytes.
    """
    if not content.startswith(_GZIP_MAGIC):
        return content
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        unpacked = stream.read(_LARGEST + 1)
    if len(unpacked) > _LARGEST:
        raise OSError(f"it unpacks to more than {_LARGEST} bytes")
    return unpacked


def read_content(path: Path) -> bytes:
    """The uncompressed bytes of the file at `path`.

    Raises:
        UserError: the file cannot be read, or its gzip stream is damaged.
    """
    try:
        return decompress(path.read_bytes())
    except DAMAGED as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"Unreadable IDX file {path}: {reason}; expected IDX, plain or gzipped; {_WAY_OUT}"
        ) from error


def sha256(content: bytes) -> str:
    """SHA-256, as hexadecimal digits, of the uncompressed content of a file."""
    return hashlib.sha256(content).hexdigest()


def parse(content: bytes, path: Path, dimensions: int) -> np.ndarray:
    """The values of an IDX file as a read-only uint8 array with `dimensions` axes.

    Args:
        content: uncompressed bytes of the file.
        path: where they came from, for the message.
        dimensions: how many axes are expected (3: images, 1: labels).

    Raises:
        UserError: another magic number, or a length that is not exactly what the header says.
    """
    expected_magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if content[:4] != expected_magic:
        raise UserError(
            f"Invalid IDX file {path}: received magic number 0x{content[:4].hex()}, expected "
            f"0x{expected_magic.hex()} (unsigned bytes, {dimensions} dimensions); {_WAY_OUT}"
        )
    header_length = 4 + 4 * dimensions
    # A header cut short reads as dimensions of zero bytes; its length then disagrees, which is the
    # message.
    header = content[4:header_length].ljust(4 * dimensions, b"\0")
    shape = tuple(int(size) for size in np.frombuffer(header, ">u4"))
    expected = header_length + math.prod(shape)
    if len(content) != expected:
        fault = "truncated" if len(content) < expected else "too long"
        raise UserError(
            f"Invalid IDX file {path}: {fault}, received {len(content)} bytes, expected {expected} "
            f"(its header says {' x '.join(map(str, shape))}); {_WAY_OUT}"
        )
    return np.frombuffer(content, np.uint8, offset=header_length).reshape(shape)


def parse_file(content: bytes, path: Path, name: str) -> np.ndarray:
    """`parse` for one of FILE_NAMES: images uint8 (n, h, w), or labels uint8 (n,); n > 0."""
    images = "images" in name
    values = parse(content, path, dimensions=3 if images else 1)
    if not len(values):
        raise UserError(
            f"Invalid IDX file {path}: received no examples, expected at least one; {_WAY_OUT}"
        )
    if images and not is_image_shape((*values.shape[1:], 1)):
        raise UserError(
            f"Invalid IDX file {path}: received images of {values.shape[1:]}, expected (28, 28) or"
            f" other {SHAPES}; {_WAY_OUT}"
        )
    return values


def read_pair(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """One split of a folder of IDX files.

    Args:
        folder: holds the four files, each in any form that `locate` accepts.
        prefix: "train" or "t10k".

    Returns:
        images uint8 (n, height, width, 1) and labels int64 (n,), in the order of the file.

    Raises:
        UserError: a file is missing or damaged, or there are more labels than images or fewer.
    """
    images_path, labels_path = (
        locate(folder, name) for name in FILE_NAMES if name.startswith(prefix)
    )
    images = parse_file(read_content(images_path), images_path, f"{prefix}-images")
    labels = parse_file(read_content(labels_path), labels_path, f"{prefix}-labels")
    if len(images) != len(labels):
        raise UserError(
            f"IDX files disagree: {images_path} holds {len(images)} images, expected as many as"
            f" {labels_path} holds labels, {len(labels)}; {_WAY_OUT}"
        )
    return images[..., np.newaxis], labels.astype(np.int64)


def open_idx(path: Path, shape: Shape) -> Parts:
    """The parts of a folder of IDX files, plain or .gz, named as MNIST's."""
    del shape  # Arrays have their own.
    found = {"train": "train", "test": "t10k"}
    return {part: functools.partial(_raw, path, prefix) for part, prefix in found.items()}


def _raw(folder: Path, prefix: str) -> Raw:
    return (*read_pair(folder, prefix), None)
