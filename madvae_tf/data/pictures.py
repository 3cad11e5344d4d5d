"""Pictures, in files, in bytes or as pixels, become images of one shape.

Pixels keep their polarity: nothing is inverted, centred or stretched in brightness. MNIST's digits
are light on dark; a dark digit on white paper is another image, and the classifier's answer to it
says little.
"""

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import CHANNELS, SHAPES, Shape, as_shape, is_image_shape

# A file, the content of one, or uint8 (height, width, 1, 3 or 4).
Source = Path | bytes | np.ndarray

# The EXIF tag that says how the camera was held, and its values that swap width and height.
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
# The mean from which on a grey picture is mostly light: dark ink on paper, or on transparency.
_LIGHT = 0.6
# What is opaque and as light as that could not be seen on white.
_NEARLY_WHITE = 0.9 * 255
_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decoded(source: Source, shape: Shape) -> tuple[np.ndarray, tuple[str, ...]]:
    """A picture as uint8 of `shape`, and what was done to it: turned as its EXIF data say,
    transparent parts on white, or on black where what is opaque is nearly white itself, resized
    with antialiasing.

    Args:
        shape: (height, width, channels) that it gets; one channel is grey, three are red, green and
            blue.

    Raises:
        UserError: no PNG or JPEG, a damaged or an enormous one.
    """
    notes = []
    with _opened(source) as file:
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
    return pixels, tuple(notes)


def _opaque_mean(layer: Image.Image) -> float:
    """How light what is opaque is, in [0, 255]: the mean of an RGBA picture's grey, weighed by
    alpha.
    """
    alpha = np.asarray(layer.getchannel("A"), np.float64)
    grey = np.asarray(layer.convert("RGB").convert("L"), np.float64)
    return float((alpha * grey).sum() / max(alpha.sum(), 1.0))


def common_shape(pictures: Callable[[], Iterable[Source]], where: str, wanted: Shape) -> Shape:
    """(height, width, channels) of the images that pictures become.

    Args:
        pictures: gives them all, from the first one on.
        where: what they are in, for the message.
        wanted: what they are to become; 0: the height, the width that they have, and three channels
            where any has colours.

    Raises:
        UserError: they are of several sizes, or of one that this project does not take.
    """
    height, width, channels = wanted
    if not (height and width):
        sizes = sorted({size_of(source) for source in pictures()})
        if len(sizes) != 1 or not is_image_shape((*sizes[0][::-1], 1)):
            named = ", ".join(f"{width} x {height}" for width, height in sizes[:3])
            raise UserError(
                f"The pictures in {where} are of {len(sizes)} sizes"
                f" ({named}{', ...' if len(sizes) > 3 else ''}); expected one, of {SHAPES}; say"
                " which one they get: --set=data.image_size=32 (and --set=data.image_width=48 where"
                " they are not square), or read_dataset(..., image_shape=(32, 32, 3))."
            )
        width, height = sizes[0]
    if not channels:
        channels = CHANNELS[any(has_colours(source) for source in pictures())]
    return as_shape((height, width, channels))


def size_of(source: Source) -> tuple[int, int]:
    """(width, height) of a picture as it is to be looked at, from its head alone."""
    with _opened(source) as file:
        turned = file.getexif().get(_ORIENTATION, 1) in _TURNED
        width, height = file.size
        return (height, width) if turned else (width, height)


def has_colours(source: Source) -> bool:
    """Whether any pixel of a picture is not grey."""
    with _opened(source) as file:
        if file.mode in ("L", "1", "LA", *_SIXTEEN_BITS):
            return False
        channels = np.asarray(file.convert("RGB"))
    return bool((channels != channels[..., :1]).any())


@contextlib.contextmanager
def _opened(source: Source) -> Iterator[Image.Image]:
    """A picture; `UserError` for no PNG or JPEG, and where the body finds it damaged."""
    try:
        if isinstance(source, np.ndarray):
            yield Image.fromarray(source[..., 0] if source.shape[-1] == 1 else source)
            return
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file, formats=("PNG", "JPEG")) as image:
            yield image
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        name = f"image {source}" if isinstance(source, Path) else "an image"
        raise UserError(
            f"Cannot read {name}: {cause_of(error)}; expected a PNG or JPEG file that is whole."
        ) from error
