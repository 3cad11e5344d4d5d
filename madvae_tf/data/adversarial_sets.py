"""Adversarial sets on disk: written shard by shard, memory-mapped, gathered into batches.

A set is one attack setting on one split: a folder of shards and `set.json`. Shard k is three .npy
files, `shard-0000k-x_adv.npy` float32 (n, height, width, channels) in [0, 1], `-index.npy` int64
(n,), the index of the clean image in its split, and `-label.npy` int64 (n,). Only the last shard
may be short. The bytes depend on the values alone.
"""

import dataclasses
import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.data import shards
from madvae_tf.data.batches import mapped
from madvae_tf.data.prepare import to_float
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import Shape, check_images, shape_of

SCHEMA = 1
METADATA_FILE = "set.json"
METADATA_KEYS = ("dataset", "split", "attack", "parameters", "seed")


class ShardWriter:
    """Writes a set; a run that was killed goes on at the first shard that is not done.

    Args:
        folder: the set's folder; made where it does not exist.
        shard_size: images in a shard (the last may have fewer).
    """

    def __init__(self, folder: str | Path, shard_size: int):
        if shard_size < 1:
            raise UserError(f"Invalid shard_size: received {shard_size}, expected at least 1.")
        self.folder = Path(folder)
        self.shard_size = shard_size

    def done(self, k: int) -> bool:
        """Whether shard `k` is complete: three whole files of one length, at most `shard_size`."""
        return 0 < self._rows(k) <= self.shard_size

    def _rows(self, k: int) -> int:
        try:
            return len(shards.open_shard(self.folder, k)["x_adv"])
        except UserError:
            return 0

    def write(self, k: int, x_adv: np.ndarray, index: np.ndarray, label: np.ndarray) -> None:
        """Writes shard `k`; each file appears whole or not at all.

        Args:
            k: which shard, from 0.
            x_adv: float32 (n, height, width, channels) in [0, 1], 1 <= n <= shard_size.
            index: integers (n,), not negative.
            label: integers (n,).

        Raises:
            UserError: values of another shape, length or range; a folder that cannot be written.
        """
        x_adv = check_images(x_adv, "adversarial images")
        index, label = (np.asarray(values, np.int64) for values in (index, label))
        n = len(x_adv)
        if not 0 < n <= self.shard_size or index.shape != (n,) or label.shape != (n,):
            raise UserError(
                f"Invalid shard {k}: received {n} images, indices {index.shape}, labels"
                f" {label.shape}; expected 1 to {self.shard_size} images and as many indices and"
                " labels."
            )
        if index.min() < 0:
            raise UserError(
                f"Invalid shard {k}: received index {index.min()}, expected indices of the split, 0"
                " or more."
            )
        shards.write_shard(self.folder, k, {"x_adv": x_adv, "index": index, "label": label})

    def finish(self, metadata: Mapping[str, Any]) -> None:
        """Writes `set.json`, without which there is no set.

        Args:
            metadata: METADATA_KEYS and whatever else; values that JSON can hold.

        Raises:
            ValueError: one of METADATA_KEYS is missing.
            UserError: there is no shard, or one before the last is missing or short; nothing can be
                written.
        """
        if missing := [key for key in METADATA_KEYS if key not in metadata]:
            raise ValueError(f"Missing metadata {missing}: expected {', '.join(METADATA_KEYS)}.")
        last = max(
            (int(path.name.split("-")[1]) for path in self.folder.glob("shard-*-x_adv.npy")),
            default=0,
        )
        sizes = [self._rows(k) for k in range(last + 1)]
        for k, size in enumerate(sizes):
            if not 0 < size <= self.shard_size or (k < last and size < self.shard_size):
                raise UserError(
                    f"Incomplete set {self.folder}: shard {k} holds {size} images, expected"
                    f" {self.shard_size} (the last may hold fewer); delete the folder and run again"
                    " to rebuild it."
                )
        record = {**metadata, "schema": SCHEMA, "images": sum(sizes), "shard_sizes": sizes}
        text = json.dumps(record, indent=2, sort_keys=True) + "\n"
        shards.publish(self.folder / METADATA_FILE, text.encode())


@dataclasses.dataclass(frozen=True, eq=False)
class AdversarialSet:
    """One set, read through memory maps; get one with `AdversarialSet.open`.

    Attributes:
        folder: where it is.
        metadata: what `set.json` says.
        x_adv: the shards, float32 memory maps (n_k, height, width, channels).
        indices: int64 (n,), of the clean images in their split.
        labels: int64 (n,).
    """

    folder: Path
    metadata: dict[str, Any]
    x_adv: tuple[np.ndarray, ...]
    indices: np.ndarray
    labels: np.ndarray

    @classmethod
    def open(cls, folder: str | Path) -> "AdversarialSet":
        """Opens the set in `folder`.

        Raises:
            UserError: a file is missing, damaged, or not what `set.json` says.
        """
        folder = Path(folder)
        path = folder / METADATA_FILE
        try:
            metadata = json.loads(path.read_text(encoding="utf-8"))
            sizes = [int(size) for size in metadata["shard_sizes"]]
            if metadata["schema"] != SCHEMA or metadata["images"] != sum(sizes) or not sizes:
                raise ValueError(f"schema {metadata['schema']} with {metadata['images']} images")
        except (OSError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise shards.damaged(
                path, f"received {error}, expected the description of a set, schema {SCHEMA}"
            ) from error
        opened = [shards.open_shard(folder, k) for k in range(len(sizes))]
        for k, (shard, size) in enumerate(zip(opened, sizes, strict=True)):
            if len(shard["x_adv"]) != size:
                fault = f"received {len(shard['x_adv'])} images, expected {size}"
                raise shards.damaged(shards.shard_path(folder, k, "x_adv"), fault)
            if shard["x_adv"].shape[1:] != opened[0]["x_adv"].shape[1:]:
                fault = f"received images of another shape than shard 0, {shard['x_adv'].shape[1:]}"
                raise shards.damaged(shards.shard_path(folder, k, "x_adv"), fault)
        indices, labels = (
            np.concatenate([shard[field] for shard in opened]) for field in ("index", "label")
        )
        return cls(folder, metadata, tuple(shard["x_adv"] for shard in opened), indices, labels)

    @functools.cached_property
    def _starts(self) -> np.ndarray:
        return np.cumsum([0, *(len(shard) for shard in self.x_adv)])

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def image_shape(self) -> Shape:
        """(height, width, channels) of the images."""
        return shape_of(self.x_adv[0])

    def gather(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x_adv float32 (b, height, width, channels) and index int64 (b,) of `rows`, integers (b,)
        in [0, len), in order.
        """
        rows = np.asarray(rows, np.int64)
        x_adv = np.empty((len(rows), *self.image_shape), np.float32)
        for k, places in _group(self._starts, rows):
            x_adv[places] = self.x_adv[k][rows[places] - self._starts[k]]
        return x_adv, self.indices[rows]

    def dataset(self, batch_size: int) -> tf.data.Dataset:
        """Streams the set in order: {"x_adv": float32 (b, height, width, channels), "index",
        "label": int64 (b,)}.
        """

        def batch(start: np.int64) -> tuple[np.ndarray, ...]:
            rows = np.arange(start, min(start + batch_size, len(self)))
            return (*self.gather(rows), self.labels[rows])

        starts = tf.data.Dataset.range(0, len(self), batch_size)
        return mapped(starts, batch, ("x_adv", "index", "label"), None, self.image_shape)


class PairedSets:
    """Adversarial sets of one split, end to end, each image beside the clean one that it came from.

    Args:
        sets: sets of the same split.
        clean_images: uint8 (n, height, width, channels), the split.
        labels: int64 (n,), its labels.

    Raises:
        UserError: no set; a set whose indices or labels do not fit the split.
    """

    fields: tuple[str, ...] = ("x_adv", "x", "label")

    def __init__(
        self, sets: Sequence[AdversarialSet], clean_images: np.ndarray, labels: np.ndarray
    ):
        if not sets:
            raise UserError("Invalid sets: received none, expected at least one adversarial set.")
        for each in sets:
            inside = each.indices.max() < len(clean_images) and each.image_shape == shape_of(
                clean_images
            )
            if not inside or not np.array_equal(labels[each.indices], each.labels):
                raise UserError(
                    f"Adversarial set {each.folder} does not fit the split: its indices, labels or"
                    f" shape are not those of the {len(clean_images)} clean images received;"
                    " expected the split it was made from; delete the folder and run again to"
                    " rebuild it."
                )
        self.sets = tuple(sets)
        self.image_shape = shape_of(clean_images)
        self._clean_images = clean_images
        self._labels = labels
        self._starts = np.cumsum([0, *(len(each) for each in sets)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The pairs at `rows`, integers (b,) in [0, len), in their order.

        Returns:
            x_adv float32 (b, height, width, channels), x float32 (b, height, width, channels) clean
            in [0, 1], label int64 (b,).
        """
        rows = np.asarray(rows, np.int64)
        x_adv = np.empty((len(rows), *self.image_shape), np.float32)
        index = np.empty(len(rows), np.int64)
        for k, places in _group(self._starts, rows):
            x_adv[places], index[places] = self.sets[k].gather(rows[places] - self._starts[k])
        return x_adv, to_float(self._clean_images[index]), self._labels[index]


def _group(starts: np.ndarray, rows: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """(part, places in `rows`) for each part that holds any; part k is rows starts[k]..starts[k +
    1] - 1.
    """
    if rows.size and (rows.min() < 0 or rows.max() >= starts[-1]):
        raise IndexError(f"rows {rows.min()} to {rows.max()}: expected 0 to {starts[-1] - 1}")
    part = np.searchsorted(starts, rows, side="right") - 1
    return [(int(k), np.flatnonzero(part == k)) for k in np.unique(part)]
