"""Verified IDX files -> a prepared TFDS dataset -> the arrays of the project's splits.

The stock TFDS builder is subclassed only in where it reads, so the result is the dataset that
anyone gets with `tfds.load(name, data_dir=..., download=False)`, in the same order (which is not
IDX order).
"""

import contextlib
import dataclasses
import io
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import logging
from tensorflow_datasets.core import registered

from madvae_tf.data import idx
from madvae_tf.data.catalogue import Dataset, tfds_name
from madvae_tf.data.sources import Source
from madvae_tf.utils.errors import UserError, cause_of

Pair = tuple[np.ndarray, np.ndarray]  # images and labels


@dataclasses.dataclass(frozen=True)
class Split:
    """Images and labels in TFDS order.

    Attributes:
        images: uint8 (n, 28, 28, 1), or of another shape that this project takes; `fit_robust` may
            have floating point ones in [0, 1].
        labels: int64 (n,).
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, rows: slice) -> "Split":
        return Split(self.images[rows], self.labels[rows])


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 images of any shape as float32 in [0, 1]."""
    return images.astype(np.float32) / np.float32(255)


def prepare_tfds(dataset: Dataset, source: Source, data_dir: str | Path) -> None:
    """Writes `dataset` into `data_dir` as TFDS does; one that is already there is kept.

    One process at a time: what a killed one left behind is removed.

    Args:
        dataset: an entry of DATASETS.
        source: its verified IDX files, from `fetch_idx`.
        data_dir: what to give to `tfds.load` later.

    Raises:
        UserError: an IDX file is damaged, or `data_dir` cannot be written.
    """
    pairs = {
        "train": idx.read_pair(source.folder, "train"),
        "test": idx.read_pair(source.folder, "t10k"),
    }
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    logging.info("%s: preparing the TFDS dataset in %s", dataset.name, data_dir)
    # TFDS announces a download, which there is none of, on standard output, and wants a folder for
    # it.
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as download_dir:
        try:
            for leftover in Path(data_dir, dataset.tfds_name).glob("incomplete.*"):
                shutil.rmtree(leftover)
            _builder(dataset, pairs, data_dir).download_and_prepare(
                download_dir=download_dir,
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
        except (
            OSError,
            RuntimeError,
            tf.errors.OpError,
        ) as error:  # TFDS wraps some in a RuntimeError
            raise UserError(
                f"Cannot write the prepared dataset to {data_dir}: {cause_of(error)}; expected a "
                "writable folder with 100 MB free; free some space or choose another one."
            ) from error


def _builder(dataset: Dataset, pairs: Mapping[str, Pair], data_dir: str | Path) -> Any:
    base = tfds.builder_cls(dataset.tfds_name)

    def split_generators(
        self: tfds.core.GeneratorBasedBuilder, dl_manager: object
    ) -> dict[str, Iterator]:
        del self, dl_manager
        return {split: _examples(*pair) for split, pair in pairs.items()}

    with registered.skip_registration():
        # The module is the base's, so that the dataset's metadata does not ask its readers for this
        # project.
        members = {"name": dataset.tfds_name, "VERSION": base.VERSION, "pkg_dir_path": None}
        members |= {"__module__": base.__module__, "_split_generators": split_generators}
        return type(base.__name__, (base,), members)(data_dir=str(data_dir))


def _examples(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, object]]]:
    for key, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield key, {"image": image, "label": int(label)}


def load_split(name: str, split: str, data_dir: str | Path) -> Split:
    """One TFDS split as arrays, in the order in which a plain `tfds.load` gives it.

    Args:
        name: of `catalogue.tfds_name`.
        split: "train" or "test".
        data_dir: what `prepare_tfds` wrote.

    Raises:
        UserError: an unknown name, or the dataset is not there or is damaged.
    """
    stock = tfds_name(name)
    try:
        arrays = tfds.as_numpy(
            tfds.load(stock, split=split, data_dir=str(data_dir), download=False, batch_size=-1)
        )
    except (
        OSError,
        ValueError,
        AssertionError,
        tf.errors.OpError,
        tfds.core.DatasetNotFoundError,
    ) as error:
        raise UserError(
            f"Cannot read the {split} split of {name} in {data_dir}: {cause_of(error)}; expected a"
            f" TFDS dataset that is prepared and whole; delete {Path(data_dir) / stock} and prepare"
            " it again."
        ) from error
    return Split(arrays["image"], arrays["label"].astype(np.int64, copy=False))


def load_splits(name: str, data_dir: str | Path, validation_images: int = 5000) -> dict[str, Split]:
    """The project's splits: "train", "validation" (held out of the end of TFDS's train) and "test".

    Args:
        name: of `catalogue.tfds_name`.
        data_dir: what `prepare_tfds` or `prepare_from_tfds` wrote.
        validation_images: how many images to hold out; more than 0, fewer than TFDS's train has.

    Raises:
        UserError: see `load_split`; `validation_images` out of range.
    """
    read = {split: load_split(name, split, data_dir) for split in ("train", "test")}
    return with_validation(name, read, validation_images)


def with_validation(name: str, read: dict[str, Split], validation_images: int) -> dict[str, Split]:
    """ "train" and "test" as they were read -> "train", "validation" and "test"; see `load_splits`."""  # noqa: E501
    whole = read["train"]
    if not 0 < validation_images < len(whole):
        raise UserError(
            f"Invalid validation_images: received {validation_images}, expected 1 to"
            f" {len(whole) - 1} ({name} has {len(whole)} training images);"
            " --set=data.validation_images=N."
        )
    kept = len(whole) - validation_images
    return {"train": whole[:kept], "validation": whole[kept:], "test": read["test"]}
