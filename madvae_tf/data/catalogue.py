"""Data sets of small images in classes that TFDS fetches from their canonical hosts, by name.

`CATALOGUE` holds the ones that were looked at; `tfds:NAME` stands for any other. The files are
TFDS's own matter: it verifies their checksums. What is asked of a data set is checked once it is
there: 2 to 1,000 classes, a shape that this project takes, both splits.
"""

import contextlib
import dataclasses
import io
import shutil
import sys
import tempfile
import urllib.parse
from pathlib import Path
from typing import Any

from absl import logging

from madvae_tf.config import DataConfig
from madvae_tf.data.idx import holds_idx
from madvae_tf.data.sources import DATASETS, reachable
from madvae_tf.utils.errors import UserError, cause_of, unknown_name
from madvae_tf.utils.images import SHAPES, is_image_shape
from madvae_tf.utils.labels import LEAST_CLASSES, MOST_CLASSES

PREFIX = "tfds:"


@dataclasses.dataclass(frozen=True)
class Known:
    """How many images a data set of TFDS has; its name there is its key in `CATALOGUE`."""

    train: int
    test: int


CATALOGUE: dict[str, Known] = {
    "kmnist": Known(60_000, 10_000),
    "emnist/digits": Known(240_000, 40_000),
    "emnist/mnist": Known(60_000, 10_000),
    "cifar10": Known(50_000, 10_000),
    "svhn_cropped": Known(73_257, 26_032),
    "cmaterdb/bangla": Known(5_000, 1_000),
}
_USUAL = Known(60_000, 10_000)


def tfds_name(name: str) -> str:
    """What TFDS calls the data set `name`: of `DATASETS`, of `CATALOGUE`, or "tfds:NAME". Raises
    `UserError` for another.
    """
    if name in DATASETS:
        return DATASETS[name].tfds_name
    if name.startswith(PREFIX) and len(name) > len(PREFIX):
        return name.removeprefix(PREFIX)
    if name not in CATALOGUE:
        raise unknown_name("dataset", name, [*DATASETS, *CATALOGUE, f"{PREFIX}NAME"])
    return name


def sizes(name: str) -> Known:
    """How many images there are, as far as it is known before they are."""
    return CATALOGUE.get(name.removeprefix(PREFIX), _USUAL)


def prepare_from_tfds(name: str, data_dir: Path) -> dict[str, Any]:
    """Has TFDS fetch and prepare a data set in `data_dir`; one that is already there is kept.

    Returns:
        "kind", "detail" and "sha256", as the stage's stamp of where the data came from.

    Raises:
        UserError: TFDS has no such data set, its host cannot be reached, or it is none that this
            project takes.
    """
    import tensorflow_datasets as tfds

    stock = tfds_name(name)
    try:
        builder = tfds.builder(stock, data_dir=str(data_dir))
    except (
        Exception
    ) as error:  # TFDS raises several kinds for a name or a configuration that it does not have.
        raise UserError(
            f"TFDS has no data set {stock!r} ({cause_of(error)}); expected a name of its catalogue,"
            " like cifar10."
        ) from error
    _check(name, builder)
    urls = sorted(builder.url_infos or {})
    hosts = sorted({urllib.parse.urlsplit(url).netloc for url in urls})
    for url in {urllib.parse.urlsplit(url).netloc: url for url in urls}.values():
        if not reachable(url):
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
    if missing := [split for split in ("train", "test") if split not in builder.info.splits]:
        raise UserError(
            f"{name} has no split {missing[0]}; it has {', '.join(builder.info.splits)}; expected"
            " train and test."
        )
    infos = builder.url_infos or {}
    return {
        "kind": "tfds",
        "detail": f"TFDS {builder.info.full_name} from {', '.join(hosts) or 'its builder'}",
        "sha256": {Path(urllib.parse.urlsplit(url).path).name: infos[url].checksum for url in urls},
    }


def _check(name: str, builder: Any) -> None:
    """Raises `UserError` unless it has classes of images that this project takes, as far as TFDS
    tells before they are there.
    """
    features = (
        dict(builder.info.features.items()) if hasattr(builder.info.features, "items") else {}
    )
    image, label = (features.get(field) for field in ("image", "label"))
    shape = tuple(getattr(image, "shape", None) or ())
    classes = getattr(label, "num_classes", None)
    if not is_image_shape(shape) or not LEAST_CLASSES <= (classes or 0) <= MOST_CLASSES:
        raise UserError(
            f"The data set {name} has images {shape} in {classes} classes; expected {SHAPES}, in"
            f" {LEAST_CLASSES} to {MOST_CLASSES} classes."
        )


def is_own(data: DataConfig) -> bool:
    """Whether `data.path` holds data of the user's own: any under a name of theirs, and what is no
    IDX folder under any name.
    """
    if not data.path:
        return False
    path = Path(data.path).expanduser()
    if data.name not in DATASETS or path.is_file():
        return True
    return path.is_dir() and not holds_idx(path) and any(each.is_dir() for each in path.iterdir())


def dataset_name(data: DataConfig) -> str:
    """What rows and the report call the data set: "own" for the user's own under the name of one of
    `DATASETS`.
    """
    return "own" if is_own(data) and data.name in DATASETS else data.name
