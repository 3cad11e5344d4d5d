"""A data set of the user's own for the pipeline: NPZ, IDX or a tree of pictures, as uint8 arrays in
training and test images.

Where the data have no parts of their own, a sixth is held out for testing, by a permutation that
depends on their number alone.
"""

from pathlib import Path

import numpy as np
from absl import logging

from madvae_tf.data.folders import has_splits, natural_shape, read_dataset
from madvae_tf.data.idx import holds_idx
from madvae_tf.data.prepare import Split
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.files import written

SPLITS = ("train", "test")
_TEST_SHARE = 1 / 6
_FIELDS = ("images", "labels")


def read_own(
    path: Path, image_size: int = 0, channels: int = 0, image_width: int = 0
) -> dict[str, Split]:
    """The splits "train" and "test" of the data at `path`.

    Args:
        image_size, channels, image_width: what pictures become, see `folders.natural_shape`, of
            which the first is the height; arrays stay as they are.

    Raises:
        UserError: see `read_dataset`; the two parts have images of different shapes; fewer than two
            images.
    """
    tree = path.is_dir() and not holds_idx(path)
    shape = natural_shape(path, image_size, channels, image_width) if tree else None
    if has_splits(path):
        read = {name: read_dataset(path, name, shape) for name in SPLITS}
        splits = {name: Split(_bytes(part.images), part.labels) for name, part in read.items()}
    else:
        whole = read_dataset(path, "train", shape)
        order = np.random.default_rng(0).permutation(len(whole.labels))
        held = max(1, round(_TEST_SHARE * len(order)))
        logging.info(
            "%s has no test images of its own: %d of %d are held out.", path, held, len(order)
        )
        images, labels = _bytes(whole.images)[order], whole.labels[order]
        splits = {
            "train": Split(images[:-held], labels[:-held]),
            "test": Split(images[-held:], labels[-held:]),
        }
    shapes = {name: split.images.shape[1:] for name, split in splits.items()}
    if shapes["train"] != shapes["test"] or not len(splits["train"]):
        raise UserError(
            f"The training images of {path} are {len(splits['train'])} of shape {shapes['train']},"
            f" the test images {len(splits['test'])} of shape {shapes['test']}; expected some of"
            " each, all of one shape."
        )
    return splits


def write_arrays(folder: Path, splits: dict[str, Split]) -> None:
    """Writes `<split>-images.npy` and `<split>-labels.npy` into `folder`, which is made."""
    try:
        for name, split in splits.items():
            for field in _FIELDS:
                with written(folder / f"{name}-{field}.npy") as partial:
                    np.save(partial, getattr(split, field))
    except OSError as error:
        raise UserError(
            f"Cannot write {folder}: {error.strerror or error}; expected a writable folder with"
            " room."
        ) from error


def load_arrays(folder: Path) -> dict[str, Split]:
    """What `write_arrays` wrote. Raises `UserError` where it is not there or damaged."""
    try:
        read = {
            name: [np.load(folder / f"{name}-{field}.npy", allow_pickle=False) for field in _FIELDS]
            for name in SPLITS
        }
    except (OSError, ValueError, EOFError) as error:
        cause = cause_of(error)
        raise UserError(
            f"Cannot read the data set in {folder}: {cause}; delete {folder.parent} and run again."
        ) from error
    return {name: Split(images, labels) for name, (images, labels) in read.items()}


def _bytes(images: np.ndarray) -> np.ndarray:
    """uint8 images as they are; floating point ones in [0, 1] rounded to 256 steps, as the other
    data sets have them.
    """
    return images if images.dtype == np.uint8 else np.round(images * 255).astype(np.uint8)
