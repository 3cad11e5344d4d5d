"""Hand-made IDX files, written with struct alone, and a dataset that knows their checksums."""

import dataclasses
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.data.catalogue import DATASETS, Dataset


@pytest.fixture
def idx_bytes() -> Callable[[np.ndarray], bytes]:
    """uint8 array -> the bytes of its IDX file."""

    def encode(values: np.ndarray) -> bytes:
        header = struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
        return header + values.astype(np.uint8).tobytes()

    return encode


@pytest.fixture
def tiny_files(idx_bytes) -> dict[str, bytes]:
    """IDX file name -> content: 30 training and 12 test images, each with its own index in pixel
    (0, 0).
    """
    generator = np.random.default_rng(7)
    files = {}
    for prefix, n in (("train", 30), ("t10k", 12)):
        images = generator.integers(0, 256, (n, 28, 28))
        images[:, 0, 0] = np.arange(n)
        files[f"{prefix}-images-idx3-ubyte"] = idx_bytes(images)
        files[f"{prefix}-labels-idx1-ubyte"] = idx_bytes(generator.integers(0, 10, n))
    return files


@pytest.fixture
def tiny_dataset(tiny_files) -> Dataset:
    """MNIST, but with the checksums of `tiny_files` and a host that refuses connections."""
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in tiny_files.items()}
    return dataclasses.replace(DATASETS["mnist"], sha256=checksums, url="http://127.0.0.1:1/")


@pytest.fixture
def tiny_folder(tmp_path, tiny_files) -> Path:
    """A folder of `tiny_files`, uncompressed."""
    folder = tmp_path / "idx"
    folder.mkdir()
    for name, content in tiny_files.items():
        (folder / name).write_bytes(content)
    return folder
