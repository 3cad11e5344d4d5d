"""Labelled images of the user's own, as `madvae_tf.fit` takes them: an NPZ file, IDX files, or a
tree of image folders.
"""

import contextlib
import dataclasses
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from absl import logging

from madvae_tf.data import idx, image_io
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import (
    CHANNELS,
    IMAGE_SHAPE,
    SIDES,
    Shape,
    as_shape,
    check_any_images,
)
from madvae_tf.utils.labels import (
    LEAST_CLASSES,
    MOST_CLASSES,
    check_labels,
    class_count,
    number_names,
    skipped,
)
from madvae_tf.utils.progress import progress_bar

SPLITS = ("train", "test")
# What a damaged or malicious archive makes zipfile, zlib and NumPy raise; the memory is what its
# header claims to need.
_UNREADABLE = (
    *(
        OSError,
        ValueError,
        EOFError,
        KeyError,
        OverflowError,
        MemoryError,
        NotImplementedError,
        RuntimeError,
    ),
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError),
)


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Images with their labels; it unpacks as the pair (images, labels).

    Attributes:
        images: uint8 in [0, 255] or floating point in [0, 1], (n, 28, 28, 1), or of another shape
            (`images.is_image_shape`).
        labels: int64 (n,), in [0, classes).
        names: what the classes are, in the order of the labels.
    """

    images: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]

    def __iter__(self):
        return iter((self.images, self.labels))


def read_dataset(
    path: str | Path, split: str = "train", image_shape: Shape | None = IMAGE_SHAPE
) -> Labelled:
    """Reads labelled images. Arrays and IDX files are taken in the shape that they have.

    Args:
        path: one of an NPZ file with arrays images and labels, or x and y, or x_train, y_train,
            x_test, y_test as Keras' mnist.npz; a folder of IDX files (plain or .gz), named as
            MNIST's; a folder with one folder of PNG or JPEG files per class, or with folders train
            and test of that kind; hidden entries (`image_io.is_hidden`) are skipped. Classes are
            numbered in the order of their names, where whole numbers count as such; pictures of any
            size and colour become images of `image_shape` (`madvae_tf.data.image_io`).
        split: "train" or "test"; where the data have no splits, either is all of them.
        image_shape: (height, width, channels) that pictures get; None: as they are, see
            `natural_shape`.

    Raises:
        UserError: none of these is there, a file is damaged, or images and labels do not fit each
            other.
    """
    path = Path(path).expanduser()
    if split not in SPLITS:
        raise UserError(f"Invalid split: received {split!r}, expected one of {', '.join(SPLITS)}.")
    if path.is_file():
        return _from_npz(path, split)
    if not path.is_dir():
        raise UserError(
            f"No data set in {path}; expected an .npz file, a folder of IDX files, or a folder with"
            " a folder for each class."
        )
    prefix = "train" if split == "train" else "t10k"
    if idx.holds_idx(path):
        return _checked(*idx.read_pair(path, prefix), None, path)
    folder = path / split if (path / split).is_dir() else path
    shape = natural_shape(path) if image_shape is None else as_shape(image_shape)
    return _from_tree(folder, shape)


def has_splits(path: str | Path) -> bool:
    """Whether the data at `path`, which `read_dataset` reads, are in two parts, for training and
    for testing. Raises `UserError` for a damaged file.
    """
    path = Path(path).expanduser()
    if path.is_file():
        with _opened(path) as arrays:
            return (
                _pair_of(arrays.files, "train") == ("x_train", "y_train")
                and "x_test" in arrays.files
            )
    return (path / "test").is_dir() or idx.holds_idx(path)


def natural_shape(path: str | Path, height: int = 0, channels: int = 0, width: int = 0) -> Shape:
    """The shape of the pictures in a tree.

    Args:
        height, width: what they are to be; a width of 0: as the height; both 0: those that all
            pictures have.
        channels: 1, 3, or 0: three where any picture has colours.

    Raises:
        UserError: the pictures are of several sizes, or of one that this project does not take.
    """
    path = Path(path).expanduser()
    files = [file for file, _ in image_io.find([str(path)])]
    if not height:
        sizes = sorted({image_io.size_of(file) for file in files})
        if len(sizes) != 1 or not {*sizes[0]} <= {*SIDES}:
            named = ", ".join(f"{width} x {height}" for width, height in sizes[:3])
            raise UserError(
                f"The pictures in {path} are of {len(sizes)} sizes"
                f" ({named}{', ...' if len(sizes) > 3 else ''}); expected one, with a width and a"
                f" height from {SIDES[0]} to {SIDES[-1]}; say which one they get:"
                " --set=data.image_size=32 (and --set=data.image_width=48 where they are not"
                " square), or read_dataset(..., image_shape=(32, 32, 3))."
            )
        ((width, height),) = sizes
    if not channels:
        channels = CHANNELS[any(image_io.has_colours(file) for file in files)]
    return as_shape((height, width or height, channels))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[np.lib.npyio.NpzFile]:
    """An NPZ file, whatever it is called. Raises `UserError` where it is none, or what is read
    within is damaged.
    """
    if path.suffix != ".npz" and not zipfile.is_zipfile(path):
        raise UserError(
            f"Cannot read {path}: it is no NPZ file; expected one with arrays images and labels"
            " (numpy.savez('data.npz', images=..., labels=...)), a folder of IDX files, or a"
            " folder with a folder of pictures for each class."
        )
    try:
        with path.open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise UserError(f"{path} is one array; expected an NPZ file of images and labels.")
            with arrays:
                yield arrays
    except UserError:
        raise
    except _UNREADABLE as error:
        cause = cause_of(error)
        raise UserError(
            f"Cannot read {path}: {cause}; expected an NPZ file of plain arrays."
        ) from error


def _from_npz(path: Path, split: str) -> Labelled:
    with _opened(path) as arrays:
        names = _pair_of(arrays.files, split)
        if names is None:
            raise UserError(
                f"{path} holds {', '.join(arrays.files) or 'nothing'}; expected "
                f"{', or '.join(' and '.join(pair) for pair in _pairs(split))}."
            )
        images, labels = (arrays[name] for name in names)
    return _checked(images, labels, None, path)


def _pairs(split: str) -> tuple[tuple[str, str], ...]:
    return (("images", "labels"), ("x", "y"), (f"x_{split}", f"y_{split}"))


def _pair_of(names: list[str], split: str) -> tuple[str, str] | None:
    return next((pair for pair in _pairs(split) if set(pair) <= set(names)), None)


def _from_tree(folder: Path, shape: Shape) -> Labelled:
    every = [each for each in folder.iterdir() if each.is_dir()]
    classes = sorted((each for each in every if not image_io.is_hidden(each.name)), key=_order)
    if skipped := sorted(each.name for each in every if image_io.is_hidden(each.name)):
        logging.warning(
            "%s: hidden folders are no classes: %s are skipped.", folder, ", ".join(skipped)
        )
    if not LEAST_CLASSES <= len(classes) <= MOST_CLASSES:
        named = ", ".join(each.name for each in classes[:12]) or "none"
        raise UserError(
            f"{folder} has {len(classes)} folders ({named}); expected {LEAST_CLASSES} to"
            f" {MOST_CLASSES}, one for each class, or IDX files."
        )
    files = [
        (file, label)
        for label, each in enumerate(classes)
        for file, _ in image_io.find([str(each)])
    ]
    images = np.empty((len(files), *shape), np.uint8)
    with progress_bar(len(files), f"reading {folder.name}", "image") as bar:
        for place, (file, _) in enumerate(files):
            images[place] = image_io.read(file, file.name, shape).pixels
            bar.update()
    labels = np.array([label for _, label in files], np.int64)
    # Held-out images are the last ones: in the order of the classes they would all be of one.
    order = np.random.default_rng(0).permutation(len(files))
    return _checked(images[order], labels[order], tuple(each.name for each in classes), folder)


def _order(folder: Path) -> tuple[int, int, str]:
    whole = re.fullmatch(r"\d+", folder.name) is not None
    return (0, int(folder.name), "") if whole else (1, 0, folder.name)


def _checked(
    images: np.ndarray, labels: np.ndarray, names: tuple[str, ...] | None, where: Path
) -> Labelled:
    """Classes without names are numbered; a warning names those without an image."""
    images = check_any_images(images, f"images of {where}")
    labels = check_labels(labels, len(images), f"labels of {where}")
    known = number_names(class_count(labels)) if names is None else names
    if sentence := skipped(labels, len(known), names):
        logging.warning("%s: %s", where, sentence)
    return Labelled(images, labels, known)
