"""Defences that learn nothing: a fixed change of the image before the classifier sees it.

    Binarization   x' = 1 where x > threshold, else 0
                   one bit of depth (Xu et al. 2018, "Feature squeezing")
    Blur           x' = g * x, g(d) ~ exp(-d^2 / (2 sigma^2))
                   sums to 1, cut off at 4 sigma; reflected at the border
    BitDepth       x' = round(x (2^b - 1)) / (2^b - 1)
                   b bits a channel (Xu et al. 2018; b = 3: Guo et al. 2018)
    Jpeg           x' = x as a JPEG file of quality q has it
                   q = 75: Guo et al. 2018, "Countering adversarial images using input
                   transformations"

The border is reflected about the edge of the outermost pixel (a b c -> b a | a b c | c b), so that
a flat image stays as it is; zeros would darken the rim of the images of Fashion-MNIST, which reach
it.
"""

import abc
import dataclasses
import json
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.config.parameters import parameter
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.models.defended_model import DefendedModel, purified
from madvae_tf.models.straight_through import with_identity_gradient
from madvae_tf.utils.files import write_json
from madvae_tf.utils.images import shape_of

_FILE = "parameters.json"
_CUT = 4.0  # standard deviations


def binarize(images: tf.Tensor, threshold: float) -> tf.Tensor:
    """float32 images of any shape -> 1.0 where a pixel is above `threshold`, else 0.0.

    The derivative is 0 almost everywhere, which stops a gradient attack without making anything
    robust; the identity's is given in its place, as for all steps of this module (Athalye et al.
    2018, "Obfuscated gradients", BPDA).
    """
    return with_identity_gradient(images, tf.cast(images > threshold, tf.float32))


def reduce_bits(images: tf.Tensor, bits: int) -> tf.Tensor:
    """float32 images of any shape in [0, 1] -> the nearest of 2^bits values, halves to even."""
    levels = float(2**bits - 1)
    return with_identity_gradient(images, tf.round(images * levels) / levels)


def jpeg(images: tf.Tensor, quality: int) -> tf.Tensor:
    """float32 (batch, h, w, 1 or 3) in [0, 1] -> the same after JPEG compression."""

    def one(image: tf.Tensor) -> tf.Tensor:
        data = tf.io.encode_jpeg(tf.cast(tf.round(image * 255.0), tf.uint8), quality=quality)
        decoded = tf.io.decode_jpeg(data, channels=image.shape[-1], dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(tf.cast(decoded, tf.float32) / 255.0, image.shape)

    return with_identity_gradient(images, tf.map_fn(one, images))


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Weights at the distances -r..r, r = 4 sigma rounded half up: float32 (2 r + 1,), of sum 1."""
    radius = int(_CUT * sigma + 0.5)
    distance = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    return (weights / weights.sum()).astype(np.float32)


def blur(images: tf.Tensor, sigma: float) -> tf.Tensor:
    """Gaussian blur along both axes, reflected at the border, each channel alone: float32 (batch,
    h, w, channels) -> the same shape.

    Args:
        sigma: in pixels; 4 sigma must not exceed the height and the width.
    """
    height, width, channels = shape_of(images)
    if channels > 1:
        alone = tf.reshape(tf.transpose(images, [0, 3, 1, 2]), (-1, height, width, 1))
        blurred = tf.reshape(blur(alone, sigma), (-1, channels, height, width))
        return tf.transpose(blurred, [0, 2, 3, 1])
    kernel = tf.constant(gaussian_kernel(sigma))
    radius = kernel.shape[0] // 2
    margin = [radius, radius]
    images = tf.pad(images, [[0, 0], margin, margin, [0, 0]], "SYMMETRIC")
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        images = tf.nn.conv2d(images, tf.reshape(kernel, shape), strides=1, padding="VALID")
    # A mean of pixels is one, but for the rounding.
    return tf.clip_by_value(images, 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Transform(Defense, abc.ABC):
    """Base of the defences without weights; their folder holds their parameters."""

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `parameters.json`."""
        write_json(folder / _FILE, self.parameters)

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """With the parameters in `folder`, whatever this object's are."""
        trained = type(self)(**json.loads((folder / _FILE).read_text(encoding="utf-8")))
        return purified(classifier, trained.transform)

    @abc.abstractmethod
    def transform(self, images: tf.Tensor) -> tf.Tensor:
        """float32 (batch, height, width, channels) in [0, 1] -> the same."""


@dataclasses.dataclass(frozen=True)
class Binarization(Transform):
    """Every pixel to black or white."""

    name: ClassVar[str] = "binarization"
    threshold: float = parameter(0.5, maximum=1.0)

    def transform(self, images: tf.Tensor) -> tf.Tensor:
        return binarize(images, self.threshold)


@dataclasses.dataclass(frozen=True)
class Blur(Transform):
    """A Gaussian blur of `sigma` pixels; at most 7, where the kernel is as wide as an image."""

    name: ClassVar[str] = "blur"
    sigma: float = parameter(1.0, maximum=7.0, open_minimum=True)

    def transform(self, images: tf.Tensor) -> tf.Tensor:
        return blur(images, self.sigma)


@dataclasses.dataclass(frozen=True)
class BitDepth(Transform):
    """Fewer bits a channel."""

    name: ClassVar[str] = "bit_depth"
    bits: int = parameter(3, minimum=1, maximum=7)

    def transform(self, images: tf.Tensor) -> tf.Tensor:
        return reduce_bits(images, self.bits)


@dataclasses.dataclass(frozen=True)
class Jpeg(Transform):
    """JPEG compression."""

    name: ClassVar[str] = "jpeg"
    quality: int = parameter(75, minimum=1, maximum=100)

    def transform(self, images: tf.Tensor) -> tf.Tensor:
        return jpeg(images, self.quality)
