"""What a step of training a purifier costs, counted from its layers: products, memory."""

import dataclasses
import math
from typing import Any

import keras

from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.images import IMAGE_SHAPE


@dataclasses.dataclass(frozen=True)
class Cost:
    """Of a purifier, for one image.

    Attributes:
        multiply_adds: of one pass forward; a step of training takes about three times as many.
        values: numbers that the layers give, which the pass backward needs.
        parameters: of the whole purifier.
    """

    multiply_adds: int
    values: int
    parameters: int

    def memory(self, batch_size: int, precision: str) -> float:
        """Bytes of a training step, about: what the layers give, which is let go as the pass
        backward uses it; of each weight its value, gradient and Adam's two moments.
        """
        size = 2 if precision == "mixed_bfloat16" else 4
        return size * batch_size * self.values + 16.0 * self.parameters


def cost_of(purifier: DefenseVAE) -> Cost:
    """What is counted: convolutions and dense layers; the rest costs no products to speak of."""
    heads = [purifier.mean_head, purifier.log_variance_head]
    layers: list[Any] = [*purifier.encoder.layers, *purifier.decoder.layers]
    values = sum(math.prod(layer.output.shape[1:]) for layer in layers)
    return Cost(
        multiply_adds=sum(map(_products, [*layers, *heads])),
        values=values + 2 * purifier.latent_size,
        parameters=purifier.count_params(),
    )


def relative_to_paper(purifier: DefenseVAE) -> float:
    """The products of a pass in those of the same encoder, of the paper's width, on the paper's
    images.
    """
    usual = (IMAGE_SHAPE, 1.0)
    if (purifier.image_shape, purifier.width) == usual:
        return 1.0
    paper = DefenseVAE(purifier.latent_size, encoder=purifier.encoder_name)
    return cost_of(purifier).multiply_adds / cost_of(paper).multiply_adds


def announcement(purifier: DefenseVAE, batch_size: int, precision: str, seconds: float) -> str:
    """What a training is to cost, one line for people.

    Args:
        seconds: on two quiet cores with bfloat16 instructions; in float32 it takes about twice as
            long.
    """
    cost = cost_of(purifier)
    seconds *= 2 if precision == "float32" else 1
    memory = cost.memory(batch_size, precision) / 2**20
    said = f"{memory / 2**10:.1f} GB" if memory >= 2**10 else f"{math.ceil(memory)} MB"
    height, width, channels = purifier.image_shape
    return (
        f"Training takes about {math.ceil(seconds / 60)} min on two CPU cores that do nothing else,"
        f" and {said} of memory: the purifier of"
        f" {height} x {width} x {channels} images has {cost.parameters / 1e6:.1f} million weights"
        f" and makes {cost.multiply_adds / 1e6:.0f} million multiply-adds an image."
    )


def _products(layer: Any) -> int:
    if not hasattr(layer, "kernel"):
        return 0
    size = math.prod(layer.kernel.shape)
    places: Any = None
    if isinstance(layer, keras.layers.Conv2DTranspose):
        places = layer.input
    elif isinstance(layer, keras.layers.Conv2D):
        places = layer.output
    return size if places is None else size * math.prod(places.shape[1:3])
