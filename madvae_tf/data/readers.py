"""Labelled images of the user's own: one row for each format that `read_dataset` takes."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import logging

from madvae_tf.data import folders, idx, npz, tables, tfds_sets
from madvae_tf.data.labelled import Labelled, checked
from madvae_tf.data.parts import SPLITS, WHOLE, Parts, class_names
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import Shape
from madvae_tf.utils.labels import skipped


class Format(NamedTuple):
    """How labelled images may lie on disk.

    Attributes:
        name: for people.
        recognises: whether a path is of this format.
        open: path and the shape that pictures get (`pictures.common_shape`) -> the parts.
    """

    name: str
    recognises: Callable[[Path], bool]
    open: Callable[[Path, Shape], Parts]


FORMATS = (  # The first that recognises a path reads it.
    Format("tfds:NAME", tfds_sets.is_named, tfds_sets.open_named),
    Format("an NPZ file", npz.is_npz, npz.open_npz),
    Format("IDX files", idx.holds_idx, idx.open_idx),
    Format("CSV", tables.is_csv, tables.open_csv),
    Format("Parquet", tables.is_parquet, tables.open_parquet),
    Format("a folder with a folder of pictures for each class", Path.is_dir, folders.open_tree),
)


def read_dataset(
    path: str | Path, split: str = "train", image_shape: tuple[int, int, int] | None = None
) -> Labelled:
    """Reads labelled images. What has to be decoded goes to disk and comes back as a memory map.

    Args:
        path: a file or a folder in one of the formats of `FORMATS`: an NPZ file (`npz.open_npz`),
            IDX files (`idx.open_idx`), CSV or Parquet files (`tables`), a tree of PNG or JPEG files
            (`folders.open_tree`); or "tfds:NAME", a data set of TFDS.
        split: "train" or "test"; where the data have no parts, either is all of them.
        image_shape: (height, width, channels) that pictures get and that the rows of a table have;
            None, or 0 in the place of one: as they are. Arrays and IDX files keep their own.

    Raises:
        UserError: nothing of these is there, a file is damaged, or images and labels do not fit
            each other.
    """
    if split not in SPLITS:
        raise UserError(f"Invalid split: received {split!r}, expected one of {', '.join(SPLITS)}.")
    parts = open_dataset(path, image_shape)
    if split not in parts and WHOLE not in parts:
        raise UserError(
            f"{path} has no images for {split}; it has some for {', '.join(parts)}; expected"
            " split='train' or 'test' to name one of those."
        )
    return read_part(parts, split if split in parts else WHOLE, path)


def open_dataset(path: str | Path, image_shape: Shape | None = None) -> Parts:
    """The parts of a data set, none of which is read. See `read_dataset`."""
    path = Path(path).expanduser()
    for each in FORMATS:
        if each.recognises(path):
            return each.open(path, image_shape or (0, 0, 0))
    raise UserError(
        f"No data set in {path}; expected {', '.join(each.name for each in FORMATS[:-1])}, or"
        f" {FORMATS[-1].name}."
    )


def read_part(parts: Parts, part: str, path: str | Path) -> Labelled:
    """One of the parts of `open_dataset`, checked. Raises `UserError`."""
    images, labels, names = parts[part]()
    if labels.dtype.kind in "US":
        try:
            labels = labels.astype(np.float64)
        except ValueError:
            # A class has one number in all parts, also where one of them lacks a class.
            names = class_names(np.concatenate([each()[1] for each in parts.values()]))
            labels = np.array([names.index(str(label)) for label in labels], np.int64)
    found = checked(images, labels, names, f"images of {path}")
    if sentence := skipped(found.labels, len(found.names), names):
        logging.warning("%s: %s", path, sentence)
    return found


def has_splits(path: str | Path) -> bool:
    """Whether the data at `path` have a part for testing. Errors: see `read_dataset`."""
    return "test" in open_dataset(path)
