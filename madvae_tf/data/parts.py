"""What a reader gives: the parts of a data set, which are read when they are asked for."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

# Images, labels (numbers or names), and the names of the classes where they are known.
Raw = tuple[np.ndarray, np.ndarray, tuple[str, ...] | None]
# "train" and "test", one of them, or WHOLE.
Parts = Mapping[str, Callable[[], Raw]]
WHOLE = "all"
SPLITS = ("train", "test")
_WORDS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "t10k": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
}
# Of arrays, columns and elements: images, labels.
IMAGES = ("image", "images", "img", "x", "X", "data", "pixels")
LABELS = ("label", "labels", "y", "class", "target", "fine_label")


def part_of(name: str) -> str:
    """The part that a file or folder of this name holds: by one of its words, else WHOLE."""
    words = re.split(r"[^a-z0-9]+", name.lower())
    return next((_WORDS[word] for word in words if word in _WORDS), WHOLE)


def by_part(paths: Iterable[Path]) -> dict[str, list[Path]]:
    """Files or folders by `part_of`; validation stands for a test part that is not there. Where
    none is for training, they are one.
    """
    found: dict[str, list[Path]] = {}
    every = sorted(paths)
    for path in every:
        found.setdefault(part_of(path.name), []).append(path)
    if not {"train", "test"} & set(found):
        return {WHOLE: every}
    validation = found.pop("validation", [])
    found.pop(WHOLE, None)
    return found if "test" in found or not validation else {**found, "test": validation}


def in_chunks(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """`size` of the rows at a time, in order."""
    return (rows[start : start + size] for start in range(0, len(rows), size))


def class_names(labels: Iterable[str]) -> tuple[str, ...]:
    """The classes that labels name, in their order: whole numbers as such, then words."""

    def order(name: str) -> tuple[int, int, str]:
        whole = re.fullmatch(r"\d+", name) is not None
        return (0, int(name), "") if whole else (1, 0, name)

    return tuple(sorted(set(map(str, labels)), key=order))


def as_pixels(values: np.ndarray, like: np.dtype | None = None) -> np.ndarray:
    """Numbers of a table as uint8, where they are whole and some is above 1, or as float32.

    Args:
        like: the dtype that they have anyway; None: by the values.

    Raises:
        ValueError: they are to be uint8 and are not whole numbers from 0 to 255.
    """
    if values.dtype == np.uint8:
        return values
    whole = bool((values == np.round(values)).all())
    if like != np.uint8 and (like is not None or not whole or values.max() <= 1):
        return values.astype(np.float32)
    if not whole or values.min() < 0 or values.max() > 255:
        raise ValueError(
            f"pixels are from {values.min():g} to {values.max():g}, not whole numbers from 0 to 255"
        )
    return values.astype(np.uint8)


def shape_of_row(pixels: int, wanted: Sequence[int]) -> tuple[int, ...]:
    """(height, width, channels) of an image that is a row of `pixels` numbers.

    Args:
        wanted: what it is to be; 0: unknown. Without a height and a width it is square and grey.

    Raises:
        ValueError: the numbers do not fit.
    """
    height, width, channels = wanted
    side = int(np.sqrt(pixels))
    height, width = (height, width) if height and width else (side, side)
    for count in (channels,) if channels else (1, 3):
        if height * width * count == pixels and (count == 1 or wanted[0]):
            return height, width, count
    raise ValueError(
        f"{pixels} pixels in a row are not {height} x {width}, grey; say which shape they have:"
        " read_dataset(..., image_shape=(height, width, channels)), or --set=data.image_size and"
        " --set=data.channels"
    )
