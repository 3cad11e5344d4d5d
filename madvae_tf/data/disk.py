"""Arrays on disk: batches that come one after another, as one array that memory need not hold."""

import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from madvae_tf.data.sources import default_cache_dir
from madvae_tf.utils.errors import UserError

BATCH = 256  # images that are decoded before they go to disk


def gathered(batches: Iterable[tuple[np.ndarray, Any]], what: str) -> tuple[np.ndarray, np.ndarray]:
    """All images of `batches` as a read-only memory map, and all their labels.

    The file lies in the cache folder and has no name, so that it goes with the array or with the
    process, however that ends.

    Args:
        batches: images (b, ...), all of one dtype and shape, and b labels.
        what: what the images are, for messages.

    Raises:
        UserError: there is none, they are not alike, or the disk cannot be written.
    """
    labels: list[np.ndarray] = []
    kind: tuple[np.dtype, tuple[int, ...]] | None = None
    with _writing(what):
        folder = default_cache_dir()
        folder.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
    with file:
        for images, some in batches:
            received = (images.dtype, images.shape[1:])
            kind = kind or received
            if received != kind:
                raise unlike(what, *(f"{dtype} {shape}" for dtype, shape in (kind, received)))
            with _writing(what):
                file.write(np.ascontiguousarray(images).data)
            labels.append(np.asarray(some))
        with _writing(what):
            file.flush()
        if kind is None or not file.tell():
            raise UserError(f"Invalid {what}: received none, expected at least one.")
        shape = (sum(map(len, labels)), *kind[1])
        return np.memmap(file, kind[0], "r", shape=shape), np.concatenate(labels)


def unlike(what: str, one: str, other: str) -> UserError:
    """The error for images that cannot be one array."""
    return UserError(
        f"Invalid {what}: received some of {one} and some of {other}, expected all alike; resize"
        " them first."
    )


@contextlib.contextmanager
def _writing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot keep the {what} on disk: {error.strerror or error}; expected a writable"
            " folder with room; set MADVAE_TF_CACHE to one."
        ) from error
