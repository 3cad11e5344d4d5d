"""Image files in and out: which ones are meant, how they become 28 x 28 grey images, how results are written.

Pixels keep their polarity: nothing is inverted, centred or stretched in brightness. MNIST's digits are light on dark; a dark digit
on white paper is another image, and the classifier's answer to it says little.
"""

import dataclasses
import glob
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from madvae_tf.errors import UserError
from madvae_tf.images import IMAGE_SHAPE

SUFFIXES = (".png", ".jpg", ".jpeg")
_HEIGHT, _WIDTH, _ = IMAGE_SHAPE
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


@dataclasses.dataclass(frozen=True, eq=False)
class Picture:
    """One file.

    Attributes:
        path: where it is.
        name: what its result is called, relative to the output folder, with suffix .png.
        pixels: uint8 (28, 28, 1).
        notes: what was done to it, for people.
    """

    path: Path
    name: str
    pixels: np.ndarray
    notes: tuple[str, ...]


def find(arguments: Sequence[str]) -> list[tuple[Path, str]]:
    """The files meant by names of files, folders (with all below them) and patterns: (path, name of the result).

    Raises:
        UserError: nothing is given, or an argument means no PNG or JPEG file.
    """
    if not arguments:
        raise UserError(
            "No images given. Expected PNG or JPEG files, folders or patterns, like digit.png; see --help."
        )
    found: dict[Path, str] = {}
    for argument in arguments:
        for path, name in _expand(argument):
            found.setdefault(path, str(Path(name).with_suffix(".png")))
    return list(found.items())


def _expand(argument: str) -> list[tuple[Path, str]]:
    path = Path(argument)
    if path.is_dir():
        below = sorted(each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES and each.is_file())
        if not below:
            raise UserError(
                f"No PNG or JPEG file in folder {argument}; expected one that ends in {', '.join(SUFFIXES)}."
            )
        return [(each, str(each.relative_to(path))) for each in below]
    if path.is_file():
        return [(path, path.name)]
    matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]
    files = [match for match in matches if match.is_file()]
    if not files:
        raise UserError(
            f"No such image: {argument!r}; expected a PNG or JPEG file, a folder, or a pattern that fits some."
        )
    return [(file, file.name) for file in files]


def read(path: Path, name: str) -> Picture:
    """The picture as 28 x 28 grey: turned as its EXIF data say, transparent parts on white, resized with antialiasing.

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
                image = Image.fromarray((np.asarray(image).astype(np.float64) / 257).round().astype(np.uint8))
            if image.has_transparency_data:
                layer = image.convert("RGBA")
                if layer.getchannel("A").getextrema() != (255, 255):
                    notes.append("transparent parts on white")
                    white = Image.new("RGBA", layer.size, "white")
                    layer = Image.alpha_composite(white, layer)
                image = layer.convert("RGB")
            if image.mode != "L":
                colours = image.convert("RGB")
                channels = np.asarray(colours)
                # A grey picture that is stored in colour is converted without a loss, so without a note.
                if (channels != channels[..., :1]).any():
                    notes.append("colours to grey")
                image = colours.convert("L")
            if image.size != (_WIDTH, _HEIGHT):
                width, height = image.size
                notes.append(f"{width} x {height} to {_WIDTH} x {_HEIGHT}")
                if width != height:
                    notes.append("its proportions changed")
                image = image.resize((_WIDTH, _HEIGHT), Image.Resampling.BILINEAR)
            pixels = np.asarray(image, np.uint8).reshape(IMAGE_SHAPE)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"Cannot read image {path}: {cause}; expected a PNG or JPEG file that is whole."
        ) from error
    return Picture(path, name, pixels, tuple(notes))


def destinations(pictures: Sequence[Picture], folder: str, overwrite: bool) -> list[Path]:
    """Where the results go.

    Raises:
        UserError: two have one name, one is an input, or is there already and `overwrite` is off.
    """
    inputs = {picture.path.resolve() for picture in pictures}
    sources: dict[Path, Path] = {}
    for picture in pictures:
        target = Path(folder) / picture.name
        if target in sources:
            raise UserError(
                f"{sources[target]} and {picture.path} would both be written as {target}; give the folder above them, "
                "or rename one."
            )
        if target.resolve() in inputs:
            raise UserError(f"{target} is one of the images given; choose another folder with --out.")
        if target.exists() and not overwrite:
            raise UserError(
                f"{target} is there already; choose another folder with --out, or pass --overwrite."
            )
        sources[target] = picture.path
    return list(sources)


def write(pixels: np.ndarray, target: Path) -> None:
    """Writes uint8 (28, 28, 1) as a PNG, whole or not at all. Raises `UserError` where that is not possible."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            Image.fromarray(pixels[..., 0]).save(partial, "PNG")
            os.replace(partial, target)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"Cannot write {target}: {error.strerror or error}; expected a folder that can be written; choose one with --out."
        ) from error


def to_bytes(images: np.ndarray) -> np.ndarray:
    """float (..., 28, 28, 1) in [0, 1] -> uint8, rounded."""
    return np.clip(np.round(images * 255), 0, 255).astype(np.uint8)
