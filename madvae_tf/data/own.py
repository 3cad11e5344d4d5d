"""A data set of the user's own for the pipeline: as uint8 arrays in training and test images.

Where the data have no parts of their own, a sixth is held out for testing, by a permutation that
depends on their number alone.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from absl import logging

from madvae_tf.data.disk import BATCH, gathered
from madvae_tf.data.labelled import Labelled
from madvae_tf.data.parts import SPLITS, Parts, in_chunks
from madvae_tf.data.prepare import Split
from madvae_tf.data.readers import open_dataset, read_part
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.files import written
from madvae_tf.utils.images import Shape

_TEST_SHARE = 1 / 6
_FIELDS = ("images", "labels")


def read_own(
    path: Path, image_size: int = 0, channels: int = 0, image_width: int = 0
) -> dict[str, Labelled]:
    """The splits "train" and "test" of the data at `path`, as uint8.

    Args:
        image_size, channels, image_width: what pictures become, see `wanted_shape`.

    Raises:
        UserError: see `read_dataset` and `in_two`.
    """
    return in_two(open_dataset(path, wanted_shape(image_size, channels, image_width)), path)


def wanted_shape(image_size: int = 0, channels: int = 0, image_width: int = 0) -> Shape:
    """The (height, width, channels) that the section `data` of a configuration asks for; 0: as they
    are. `image_size` is the height, and the width where there is no other.
    """
    return image_size, image_width or image_size, channels


def in_two(parts: Parts, where: str | Path) -> dict[str, Labelled]:
    """The splits "train" and "test" of a data set; a sixth is held out where it has one part.

    Raises:
        UserError: a part is damaged; the parts have images of several shapes or other classes;
            fewer than two images.
    """
    read = {part: read_part(parts, part, where) for part in parts}
    if len(read) == 1:
        (whole,) = read.values()
        order = np.random.default_rng(0).permutation(len(whole.labels))
        held = max(1, round(_TEST_SHARE * len(order)))
        logging.info(
            "%s has no test images of its own: %d of %d are held out.", where, held, len(order)
        )
        rows = {"train": order[:-held], "test": order[-held:]}
        read = dict.fromkeys(SPLITS, whole)
    else:
        rows = {part: np.arange(len(each.labels)) for part, each in read.items()}
    shapes = {part: each.images.shape[1:] for part, each in read.items()}
    if shapes["train"] != shapes["test"] or not len(rows["train"]):
        raise UserError(
            f"The training images of {where} are {len(rows['train'])} of shape {shapes['train']},"
            f" the test images {len(rows['test'])} of shape {shapes['test']}; expected some of"
            " each, all of one shape."
        )
    fewer, names = sorted((each.names for each in read.values()), key=len)
    if fewer != names[: len(fewer)]:
        raise UserError(
            f"The classes of the training images of {where} are {', '.join(read['train'].names)},"
            f" those of the test images {', '.join(read['test'].names)}; expected the same."
        )
    return {part: _in_bytes(read[part], rows[part], names) for part in SPLITS}


def _in_bytes(data: Labelled, rows: np.ndarray, names: tuple[str, ...]) -> Labelled:
    """Rows of the data, on disk; floating point images in [0, 1] are rounded to 256 steps, as the
    other data sets have them.
    """

    def pixels(some: np.ndarray) -> np.ndarray:
        images = data.images[some]
        return images if images.dtype == np.uint8 else np.round(images * 255).astype(np.uint8)

    images, labels = gathered(
        ((pixels(some), data.labels[some]) for some in in_chunks(rows, BATCH)), "images"
    )
    return Labelled(images, labels, names)


def write_arrays(folder: Path, splits: Mapping[str, Split | Labelled]) -> None:
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
    """What `write_arrays` wrote, as memory maps; `UserError` where it is missing or damaged."""
    try:
        read = {
            name: [
                np.load(folder / f"{name}-{field}.npy", "r", allow_pickle=False)
                for field in _FIELDS
            ]
            for name in SPLITS
        }
    except (OSError, ValueError, EOFError) as error:
        cause = cause_of(error)
        raise UserError(
            f"Cannot read the data set in {folder}: {cause}; delete {folder.parent} and run again."
        ) from error
    return {name: Split(images, labels) for name, (images, labels) in read.items()}
