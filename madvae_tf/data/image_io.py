"""Image files in and out: which ones are meant, how results are written."""

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging
from PIL import Image

from madvae_tf.data.pictures import decoded
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import written
from madvae_tf.utils.images import IMAGE_SHAPE, Shape

SUFFIXES = (".png", ".jpg", ".jpeg")
# What operating systems and disks leave among a user's files.
_OF_THE_SYSTEM = (
    "__MACOSX",
    "__pycache__",
    "lost+found",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """One file.

    Attributes:
        path: where it is.
        name: what its result is called, relative to the output folder, with suffix .png.
        pixels: uint8 (height, width, channels).
        notes: what was done to it, for people.
    """

    path: Path
    name: str
    pixels: np.ndarray
    notes: tuple[str, ...]


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden (.ipynb_checkpoints, ._photo.png) or a
    system's own (__MACOSX).
    """
    return name.startswith(".") or name in _OF_THE_SYSTEM


def find(arguments: Sequence[str]) -> list[tuple[Path, str]]:
    """The files meant by names of files, folders (with all below them) and patterns: (path, name of
    the result).

    In folders and patterns what is hidden is skipped, with a note; a file that is named itself is
    meant, hidden or not.

    Raises:
        UserError: nothing is given, or an argument means no PNG or JPEG file.
    """
    if not arguments:
        raise UserError(
            "No images given. Expected PNG or JPEG files, folders or patterns, like digit.png; see"
            " --help."
        )
    found: dict[Path, str] = {}
    for argument in arguments:
        for path, name in _expand(argument):
            found.setdefault(path, str(Path(name).with_suffix(".png")))
    return list(found.items())


def _expand(argument: str) -> list[tuple[Path, str]]:
    path = Path(argument).expanduser()
    if path.is_dir():
        every = sorted(
            each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file()
        )
        below = [each for each in every if not any(map(is_hidden, each.relative_to(path).parts))]
        if len(below) < len(every):
            logging.warning(
                "%s: %d pictures that are hidden are skipped.", argument, len(every) - len(below)
            )
        if not below:
            raise UserError(
                f"No PNG or JPEG file in folder {argument}; expected one that ends in"
                f" {', '.join(SUFFIXES)}."
            )
        return [(each, str(each.relative_to(path))) for each in below]
    if path.is_file():
        return [(path, path.name)]
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    # A pattern leaves out what begins with a dot by itself, unless it names it.
    asked = path.parts
    files = [
        match
        for match in matches
        if match.is_file() and not any(p in _OF_THE_SYSTEM and p not in asked for p in match.parts)
    ]
    if not files:
        raise UserError(
            f"No such image: {argument!r}; expected a PNG or JPEG file, a folder, or a pattern that"
            " fits some."
        )
    return [(file, file.name) for file in files]


def read(path: Path, name: str, shape: Shape = IMAGE_SHAPE) -> Picture:
    """The picture of a file as an image of `shape`, see `decoded`.

    Raises:
        UserError: no PNG or JPEG, a damaged or an enormous one.
    """
    return Picture(path, name, *decoded(path, shape))


def destinations(files: Sequence[tuple[Path, str]], folder: str, overwrite: bool) -> list[Path]:
    """Where the results of what `find` gave go.

    Raises:
        UserError: two have one name, one is an input, or is there already and `overwrite` is off.
    """
    inputs = {path.resolve() for path, _ in files}
    sources: dict[Path, Path] = {}
    for path, name in files:
        target = Path(folder).expanduser() / name
        if target in sources:
            raise UserError(
                f"{sources[target]} and {path} would both be written as {target}; give the folder"
                " above them, or rename one."
            )
        if target.resolve() in inputs:
            raise UserError(
                f"{target} is one of the images given; choose another folder with --out."
            )
        if target.exists() and not overwrite:
            raise UserError(
                f"{target} is there already; choose another folder with --out, or pass --overwrite."
            )
        sources[target] = path
    return list(sources)


def write(pixels: np.ndarray, target: Path) -> None:
    """Writes uint8 (height, width, 1 or 3) as a PNG, whole or not at all. Raises `UserError` where
    that is not possible.
    """
    try:
        with written(target) as partial:
            Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).save(partial, "PNG")
    except OSError as error:
        raise UserError(
            f"Cannot write {target}: {error.strerror or error}; expected a folder that can be"
            " written; choose one with --out."
        ) from error


def to_bytes(images: np.ndarray) -> np.ndarray:
    """float in [0, 1], of any shape -> uint8, rounded."""
    return np.clip(np.round(images * 255), 0, 255).astype(np.uint8)


def to_bytes_towards(images: np.ndarray, original: np.ndarray) -> np.ndarray:
    """float in [0, 1] -> uint8, each pixel rounded towards `original`'s (uint8, the same shape): no
    distance from it grows.
    """
    change = images.astype(np.float64) * 255 - original
    # What is a whole number but for float32's rounding stays that number.
    whole = np.sign(change) * np.floor(np.abs(change) + 1e-4)
    return (original + whole).astype(np.uint8)
