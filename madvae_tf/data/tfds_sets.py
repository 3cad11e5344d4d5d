"""Data sets of images in classes that TFDS fetches from their canonical hosts, by name.

The files are TFDS's own matter: it verifies their checksums.
"""

import contextlib
import functools
import io
import shutil
import sys
import tempfile
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from madvae_tf.data.catalogue import CATALOGUE, DATASETS, PREFIX, Known, tfds_name
from madvae_tf.data.disk import BATCH, gathered
from madvae_tf.data.parts import WHOLE, Parts, Raw
from madvae_tf.data.pictures import common_shape, decoded
from madvae_tf.data.sources import default_cache_dir, fetch_idx, locked, reachable
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import SHAPES, Shape, is_image_shape
from madvae_tf.utils.labels import LEAST_CLASSES, MOST_CLASSES

_TEST = ("test", "validation")


def is_named(path: Path) -> bool:
    """Whether it is no path but "tfds:NAME"."""
    return str(path).startswith(PREFIX)


def open_named(path: Path, shape: Shape) -> Parts:
    """The parts of "tfds:NAME", which TFDS fetches into the cache folder where it is not there."""
    folder = default_cache_dir() / "tfds"
    name = str(path)
    idx_files = next((d for d in DATASETS.values() if d.tfds_name == tfds_name(name)), None)
    source = fetch_idx(idx_files) if idx_files else None
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / "lock"):
        if idx_files is None or source is None:
            prepare_from_tfds(name, folder, shape)
        else:
            from madvae_tf.data.prepare import prepare_tfds

            prepare_tfds(idx_files, source, folder)
    return parts_of(name, folder, shape)


def prepare_from_tfds(name: str, data_dir: Path, shape: Shape = (0, 0, 0)) -> dict[str, Any]:
    """Has TFDS fetch and prepare a data set in `data_dir`; one that is already there is kept.

    Args:
        shape: what its images are to become, see `parts_of`.

    Returns:
        "kind", "detail" and "sha256", as the stage's stamp of where the data came from.

    Raises:
        UserError: TFDS has no such data set, its host cannot be reached, or it is none that this
            project takes.
    """
    import tensorflow_datasets as tfds

    builder = _builder(name, data_dir)
    check_features(name, builder.info, shape)
    urls = sorted(builder.url_infos or {})
    hosts = sorted({urllib.parse.urlsplit(url).netloc for url in urls})
    missing = not Path(builder.data_dir).exists()
    for url in {urllib.parse.urlsplit(url).netloc: url for url in urls}.values():
        if missing and not reachable(url):
            raise UserError(
                f"Cannot fetch {name}: no connection to {urllib.parse.urlsplit(url).netloc}; give"
                " this machine access to it, or pass the data as an NPZ file or a folder of"
                " pictures: --set=data.path=PATH."
            )
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()
    logging.info("%s: TFDS fetches it from %s", name, ", ".join(hosts) or "where its builder says")
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as download_dir:
        for leftover in Path(data_dir, builder.name).rglob("incomplete.*"):
            shutil.rmtree(leftover)
        try:
            builder.download_and_prepare(
                download_dir=download_dir,
                download_config=tfds.download.DownloadConfig(try_download_gcs=False),
            )
        except Exception as error:  # Hosts, archives, checksums and disks fail in as many ways.
            raise UserError(
                f"Cannot fetch {name} with TFDS: {type(error).__name__}: {cause_of(error)}; run"
                " again, or pass the data as an NPZ file or a folder of pictures:"
                " --set=data.path=PATH."
            ) from error
    infos = builder.url_infos or {}
    return {
        "kind": "tfds",
        "detail": f"TFDS {builder.info.full_name} from {', '.join(hosts) or 'its builder'}",
        "sha256": {Path(urllib.parse.urlsplit(url).path).name: infos[url].checksum for url in urls},
    }


def check_features(name: str, info: Any, shape: Shape) -> None:
    """Raises `UserError` unless a data set has classes and images that this project takes, as far
    as its `tfds.core.DatasetInfo` tells.
    """
    image, label = _keys(info)
    features = dict(info.features.items()) if hasattr(info.features, "items") else {}
    sides = tuple(getattr(features.get(image), "shape", None) or ())
    classes = getattr(features.get(label), "num_classes", None)
    classes = len(_known(name).label_names) or classes
    if None in sides and not (shape[0] and shape[1]):
        raise UserError(
            f"The data set {name} has images of several sizes; say which one they get:"
            " --set=data.image_size=32, or read_dataset(..., image_shape=(32, 32, 3))."
        )
    given = tuple(wanted or own for wanted, own in zip(shape, sides, strict=False))
    if not is_image_shape(given) or not LEAST_CLASSES <= (classes or 0) <= MOST_CLASSES:
        raise UserError(
            f"The data set {name} has images {sides} in {classes} classes; expected {SHAPES}, in"
            f" {LEAST_CLASSES} to {MOST_CLASSES} classes."
        )


def parts_of(name: str, data_dir: Path, shape: Shape) -> Parts:
    """The parts of a data set that is prepared in `data_dir`; where its test images have no labels
    (-1), its validation images stand for them.

    Args:
        shape: (height, width, channels) that its images get; 0: as they are.
    """
    info = _builder(name, data_dir).info
    found = {"train": "train"} if "train" in info.splits else {}
    tests = (each for each in _TEST if each in info.splits and _has_labels(name, data_dir, each))
    if test := next(tests, None):
        found["test"] = test
    found = found or {WHOLE: next(iter(info.splits))}
    known = functools.cache(
        lambda: common_shape(
            lambda: (
                image for split in found.values() for image, _ in _examples(name, data_dir, split)
            ),
            name,
            shape,
        )
    )
    return {
        part: functools.partial(_read, name, data_dir, split, shape, known)
        for part, split in found.items()
    }


def _read(name: str, data_dir: Path, split: str, wanted: Shape, shape: Callable[[], Shape]) -> Raw:
    info = _builder(name, data_dir).info
    image, label = _keys(info)
    own = tuple(info.features[image].shape)
    known = _known(name)

    def batches() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        same = None not in own and all(w in (0, o) for w, o in zip(wanted, own, strict=True))
        for images, labels in _examples(name, data_dir, split, BATCH if same else 0):
            if not same:
                images, labels = decoded(images, shape())[0][np.newaxis], np.array([labels])
            yield images, labels.astype(np.int64) - known.first_label

    names = known.label_names or tuple(info.features[label].names)
    return (*gathered(batches(), f"images of {name}"), names)


def _examples(name: str, data_dir: Path, split: str, batch: int = 0) -> Iterator[Any]:
    """(image, label), `batch` of them at a time, or one by one."""
    builder = _builder(name, data_dir)
    image, label = _keys(builder.info)
    try:
        dataset = builder.as_dataset(split=split).map(lambda each: (each[image], each[label]))
        yield from (dataset.batch(batch) if batch else dataset).as_numpy_iterator()
    except Exception as error:  # Files, records and decoders fail in as many ways.
        raise UserError(
            f"Cannot read the {split} split of {name} in {data_dir}: {cause_of(error)}; delete it"
            " there and run again."
        ) from error


def _has_labels(name: str, data_dir: Path, split: str) -> bool:
    return any(label >= 0 for _, label in _examples(name, data_dir, f"{split}[:1]"))


def _keys(info: Any) -> tuple[str, str]:
    """What TFDS calls an image and its label in an example."""
    keys = info.supervised_keys
    usual = isinstance(keys, tuple) and len(keys) == 2 and all(isinstance(k, str) for k in keys)
    return keys if usual else ("image", "label")


def _known(name: str) -> Known:
    return CATALOGUE.get(name.removeprefix(PREFIX), Known(0, 0))


def _builder(name: str, data_dir: Path) -> Any:
    import tensorflow_datasets as tfds

    stock = tfds_name(name)
    try:
        return tfds.builder(stock, data_dir=str(data_dir))
    except Exception as error:  # Several kinds for a name or a configuration that is not there.
        raise UserError(
            f"TFDS has no data set {stock!r} ({cause_of(error)}); expected a name of its catalogue,"
            " like cifar10."
        ) from error
