"""Common corruptions: what happens to images without an attacker, in five severities.

After the kinds of ImageNet-C (Hendrycks & Dietterich 2019) and MNIST-C (Mu & Gilmer 2019); the
numbers are this project's, so that figures of theirs and of ours do not compare. Random parts come
from the image's own pixels and a seed.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import tensorflow as tf

from madvae_tf.attacks.base import Attack, Seed
from madvae_tf.attacks.geometry import draws, image_seeds
from madvae_tf.attacks.spatial import placed, turn
from madvae_tf.config.parameters import parameter
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.utils.errors import lookup
from madvae_tf.utils.images import shape_of

Corrupt = Callable[[tf.Tensor, tf.Tensor, float], tf.Tensor]
# Edges of the grids whose noise makes a fog, coarse ones weighing most.
_OCTAVES = (2, 4, 7, 14)


def _sign(seeds: tf.Tensor) -> tf.Tensor:
    """+-1 of each image, float32 (batch,)."""
    return tf.where(draws(seeds, [1])[:, 0] < 0, -1.0, 1.0)


def gaussian_noise(x: tf.Tensor, seeds: tf.Tensor, deviation: float) -> tf.Tensor:
    """Adds normal noise of this standard deviation, drawn from the image's seed."""
    return x + deviation * draws(seeds, list(shape_of(x)), normal=True)


def shot_noise(x: tf.Tensor, seeds: tf.Tensor, photons: float) -> tf.Tensor:
    """As if white were `photons` photons: Poisson(x photons) / photons."""
    shape = list(shape_of(x))

    def one(pair: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return tf.random.stateless_poisson(shape, pair[0], pair[1] * photons, tf.float32)

    return (
        tf.map_fn(one, (seeds, x), fn_output_signature=tf.TensorSpec(shape, tf.float32)) / photons
    )


def impulse_noise(x: tf.Tensor, seeds: tf.Tensor, share: float) -> tf.Tensor:
    """A share of the pixels black or white."""
    chance = (draws(seeds, list(shape_of(x))) + 1) / 2
    return tf.where(chance < share / 2, 0.0, tf.where(chance > 1 - share / 2, 1.0, x))


def gaussian_blur(x: tf.Tensor, seeds: tf.Tensor, sigma: float) -> tf.Tensor:
    """The image under a Gaussian of this standard deviation, in pixels."""
    radius = int(3 * sigma + 0.5)
    weights = tf.exp(-0.5 * tf.square(tf.range(-radius, radius + 1, dtype=tf.float32) / sigma))
    weights /= tf.reduce_sum(weights)
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        # Zeros beyond the rim: the background of a digit. Each channel by itself.
        kernel = tf.tile(tf.reshape(weights, shape), [1, 1, shape_of(x)[2], 1])
        x = tf.nn.depthwise_conv2d(x, kernel, strides=[1, 1, 1, 1], padding="SAME")
    return x


def brightness(x: tf.Tensor, seeds: tf.Tensor, more: float) -> tf.Tensor:
    """Adds `more` to every pixel."""
    return x + more


def contrast(x: tf.Tensor, seeds: tf.Tensor, factor: float) -> tf.Tensor:
    """Every pixel's distance from the image's mean, times `factor`."""
    mean = tf.reduce_mean(x, axis=[1, 2, 3], keepdims=True)
    return mean + factor * (x - mean)


def rotate(x: tf.Tensor, seeds: tf.Tensor, degrees: float) -> tf.Tensor:
    """Either way."""
    return placed(x, turn(degrees * _sign(seeds)), tf.zeros([tf.shape(x)[0], 2]))


def shear(x: tf.Tensor, seeds: tf.Tensor, slope: float) -> tf.Tensor:
    """Rows moved sideways, in proportion to their distance from the middle, either way."""
    sign = _sign(seeds)
    one, zero = tf.ones_like(sign), tf.zeros_like(sign)
    matrix = tf.stack([tf.stack([one, zero], -1), tf.stack([slope * sign, one], -1)], -2)
    return placed(x, matrix, tf.stack([zero, zero], -1))


def scale(x: tf.Tensor, seeds: tf.Tensor, factor: float) -> tf.Tensor:
    """Smaller, about the middle."""
    return placed(x, tf.eye(2) / factor, tf.zeros(2))


def translate(x: tf.Tensor, seeds: tf.Tensor, pixels: float) -> tf.Tensor:
    """So many pixels up or down and as many left or right."""
    ways = tf.where(draws(seeds, [2]) < 0, -1.0, 1.0)
    upright = tf.tile(tf.eye(2)[None], tf.stack([tf.shape(x)[0], 1, 1]))
    return placed(x, upright, pixels * ways)


def fog(x: tf.Tensor, seeds: tf.Tensor, weight: float) -> tf.Tensor:
    """(x + weight f) / (1 + weight), f smooth noise in [0, 1]."""
    cloud = tf.zeros_like(x)
    for octave, side in enumerate(_OCTAVES):
        noise = (draws(seeds + octave, [side, side, 1]) + 1) / 2
        cloud += tf.image.resize(noise, x.shape[1:3], method="bilinear") / 2**octave
    low, high = (f(cloud, axis=[1, 2, 3], keepdims=True) for f in (tf.reduce_min, tf.reduce_max))
    return (x + weight * (cloud - low) / tf.maximum(high - low, 1e-6)) / (1 + weight)


# Name -> the function, and what its number is at the severities 1 to 5.
CORRUPTIONS: dict[str, tuple[Corrupt, tuple[float, ...]]] = {
    function.__name__: (function, numbers)
    for function, numbers in (
        (gaussian_noise, (0.1, 0.2, 0.3, 0.4, 0.5)),
        (shot_noise, (60.0, 25.0, 12.0, 5.0, 3.0)),
        (impulse_noise, (0.03, 0.06, 0.1, 0.17, 0.27)),
        (gaussian_blur, (0.6, 1.0, 1.4, 1.8, 2.4)),
        (brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
        (contrast, (0.6, 0.4, 0.3, 0.2, 0.1)),
        (rotate, (10.0, 20.0, 30.0, 40.0, 50.0)),
        (shear, (0.2, 0.3, 0.4, 0.5, 0.6)),
        (scale, (0.9, 0.8, 0.7, 0.6, 0.5)),
        (translate, (1.0, 2.0, 3.0, 4.0, 5.0)),
        (fog, (0.4, 0.6, 0.8, 1.0, 1.3)),
    )
}
SEVERITIES = (1, 2, 3, 4, 5)


@tf.function
def _corrupted(kind: str, severity: int, x: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    corrupt, numbers = CORRUPTIONS[kind]
    return tf.clip_by_value(corrupt(x, image_seeds(x, seed), numbers[severity - 1]), 0.0, 1.0)


@dataclasses.dataclass(frozen=True)
class Corruption(Attack):
    """One corruption; it looks at nothing but the image.

    Attributes:
        kind: a name of `CORRUPTIONS`.
        severity: 1 to 5.
    """

    name: ClassVar[str] = "corruption"
    kind: str = parameter("gaussian_noise")
    severity: int = parameter(3, minimum=1, maximum=5)

    def __post_init__(self) -> None:
        super().__post_init__()
        lookup(CORRUPTIONS, self.kind, "corruption")

    def __call__(self, target: DefendedModel, x: tf.Tensor, y: tf.Tensor, seed: Seed) -> tf.Tensor:
        return _corrupted(self.kind, self.severity, x, tf.constant(seed, tf.int64))
