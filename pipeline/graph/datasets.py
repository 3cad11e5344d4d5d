"""The stage of the data set: the paper's from IDX files, any other of TFDS, or the user's own.

What the user's own data are is in the key by content, not by path: the same files elsewhere are the
same data.
"""

import functools
import hashlib
import re
from pathlib import Path

from madvae_tf.config import Config
from madvae_tf.data.catalogue import DATASETS, dataset_name, is_own, sizes, tfds_name
from madvae_tf.data.image_io import is_hidden
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import sha256_of
from pipeline import steps
from pipeline.engine import artifacts
from pipeline.engine.plan import Stage
from pipeline.graph.main_stages import own_fields


def data_stage(config: Config) -> Stage:
    """The stage "data".

    Raises:
        UserError: an unknown name, or nothing at `data.path`.
    """
    data = config.data
    name = dataset_name(data)
    instance = re.sub(r"[^A-Za-z0-9._-]", "-", name)
    if not is_own(data):
        tfds_name(name)
        ours = name in DATASETS
        run = steps.prepare_data if ours else steps.fetch_data
        asked = () if ours else ("image_size", "channels", "image_width")
        known = own_fields(data)
        fields = {name: known[name] for name in ("name", "path", *asked) if name in known}
        return Stage("data", instance, 1, fields, {}, run, cost=20 if ours else 120)
    path = Path(data.path).expanduser()
    own = {
        "name": name,
        "content": content_of(path),
        "image_size": data.image_size,
        "channels": data.channels,
    } | ({"image_width": data.image_width} if data.image_width else {})
    return Stage("data", instance, 1, own, {}, functools.partial(steps.import_data, path), cost=10)


def available(config: Config) -> dict[str, int]:
    """About how many images each split has: for what a run may cost, and to say "all" as a number."""  # noqa: E501
    known = sizes(config.data.name)
    held = config.data.validation_images
    return {"train": max(known.train - held, 1), "validation": held, "test": known.test}


def content_of(path: Path) -> str:
    """SHA-256 over the names and the contents of the file, or of all files below the folder that
    are not hidden.

    Raises:
        UserError: it is not there, is empty or cannot be read.
    """
    try:
        below = artifacts.content_files(path) if path.is_dir() else []
        names = (
            [""] if path.is_file() else [n for n in below if not any(map(is_hidden, n.split("/")))]
        )
        whole = hashlib.sha256()
        for name in names:
            digest = sha256_of(path / name if name else path)
            whole.update(f"{name}\0{digest}\n".encode())
    except OSError as error:
        raise UserError(
            f"Cannot read {error.filename}: {error.strerror}; expected files that can be read."
        ) from error
    if not names:
        raise UserError(
            f"Invalid data.path: received {str(path)!r}, where there is nothing; expected an NPZ,"
            " CSV or Parquet file, a folder of IDX files, or a folder with a folder of pictures for"
            " each class."
        )
    return whole.hexdigest()
