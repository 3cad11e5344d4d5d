"""Image files in and out: which ones are meant, how they become small images, 28 x 28 grey by
default, how results are written.

Pixels keep their polarity: nothing is inverted, centred or stretched in brightness. MNIST's digits
are light on dark; a dark digit on white paper is another image, and the classifier's answer to it
says little.
"""

import dataclasses
import glob
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from absl import logging
from PIL import Image, ImageOps

from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.files import written
from madvae_tf.utils.images import IMAGE_SHAPE, Shape

SUFFIXES = (".png", ".jpg", ".jpeg")
# The EXIF tag that says how the camera was held, and its values that swap width and height.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
# What operating systems and disks leave among a user's files.
_OF_THE_SYSTEM = (
    "__MACOSX",
    "__pycache__",
    "lost+found",
    "@eaDir",
    "$RECYCLE.BIN",
    "System Volume Information",
)
# The mean from which on a grey picture is mostly light: dark ink on paper, or on transparency.
_LIGHT = 0.6
# What is opaque and as light as that could not be seen on white.
_NEARLY_WHITE = 0.9 * 255
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


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
    """The picture as an image: turned as its EXIF data say, transparent parts on white, or on black
    where what is opaque is nearly white itself, resized with antialiasing.

    Args:
        shape: (height, width, channels) that it gets; one channel is grey, three are red, green and
            blue.

    Raises:
        UserError: no PNG or JPEG, a damaged or an enormous one.
    """
    notes = []
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            file.load()
            image: Image.Image = ImageOps.exif_transpose(file)
            if image.mode in _SIXTEEN_BITS:
                notes.append("16 bits to 8")
                image = Image.fromarray(
                    (np.asarray(image).astype(np.float64) / 257).round().astype(np.uint8)
                )
            if image.has_transparency_data:
                layer = image.convert("RGBA")
                if layer.getchannel("A").getextrema() != (255, 255):
                    ground = "black" if _opaque_mean(layer) >= _NEARLY_WHITE else "white"
                    notes.append(f"transparent parts on {ground}")
                    layer = Image.alpha_composite(Image.new("RGBA", layer.size, ground), layer)
                image = layer.convert("RGB")
            if shape[2] == 3:
                image = image.convert("RGB")
            elif image.mode != "L":
                colours = image.convert("RGB")
                channels = np.asarray(colours)
                # A grey picture that is stored in colour is converted without a loss, so without a
                # note.
                if (channels != channels[..., :1]).any():
                    notes.append("colours to grey")
                image = colours.convert("L")
            wanted = (shape[1], shape[0])
            if image.size != wanted:
                width, height = image.size
                notes.append(f"{width} x {height} to {wanted[0]} x {wanted[1]}")
                if width != height:
                    notes.append("its proportions changed")
                image = image.resize(wanted, Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.uint8).reshape(shape)
            if shape[2] == 1 and pixels.mean() > _LIGHT * 255:
                notes.append("mostly light; MNIST's digits are light on dark")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        cause = cause_of(error)
        raise UserError(
            f"Cannot read image {path}: {cause}; expected a PNG or JPEG file that is whole."
        ) from error
    return Picture(path, name, pixels, tuple(notes))


def _opaque_mean(layer: Image.Image) -> float:
    """How light what is opaque is, in [0, 255]: the mean of an RGBA picture's grey, weighed by
    alpha.
    """
    alpha = np.asarray(layer.getchannel("A"), np.float64)
    grey = np.asarray(layer.convert("RGB").convert("L"), np.float64)
    return float((alpha * grey).sum() / max(alpha.sum(), 1.0))


def size_of(path: Path) -> tuple[int, int]:
    """(width, height) of a picture as it is to be looked at, from its head alone. Raises
    `UserError` for no PNG or JPEG.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            turned = file.getexif().get(_ORIENTATION, 1) in _TURNED
            width, height = file.size
            return (height, width) if turned else (width, height)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        cause = cause_of(error)
        raise UserError(
            f"Cannot read image {path}: {cause}; expected a PNG or JPEG file that is whole."
        ) from error


def has_colours(path: Path) -> bool:
    """Whether any pixel of a PNG or JPEG is not grey. Raises `UserError` for another or a damaged
    file.
    """
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            if file.mode in ("L", "1", "LA", *_SIXTEEN_BITS):
                return False
            channels = np.asarray(file.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        cause = cause_of(error)
        raise UserError(
            f"Cannot read image {path}: {cause}; expected a PNG or JPEG file that is whole."
        ) from error
    return bool((channels != channels[..., :1]).any())


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
