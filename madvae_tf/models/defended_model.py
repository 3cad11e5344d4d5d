"""A classifier with what stands before it, as attacks and evaluation see it: callables only."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

Function = Callable[[tf.Tensor], tf.Tensor]


@dataclasses.dataclass(frozen=True, eq=False)
class DefendedModel:
    """A whole system, and its parts where it has them.

    Undefended, transferred and end-to-end attacks differ only in it.
    Images are float32 (batch, height, width, channels) in [0, 1]. Keep one object per model:
    compiled gradients are cached by its callables. Keras models and layers are called for inference
    (`training=False`).

    Attributes:
        logits: differentiable, images -> float32 (batch, classes), of the whole system.
        purify: images -> images, where the defence changes the image.
        classify: purified images -> `logits`, where they are made of nothing else: attacks that
            need both purify once.
        encode: images -> float32 (batch, latent), where the purifier has a latent code.
        decode: latents -> images, where it has one.
        sample: images, int32 seeds (batch, 2) -> latents drawn from the code of each image, where
            it has a distribution.
        detect: images -> bool (batch,), True where the image is refused as adversarial.
        squash: what the system begins with, where it is a function of each pixel alone: images ->
            images.
        range_logits: `logits` of what `decode` made, without the search for it, for a purifier that
            searches `decode`'s range and so finds such an image again (Defense-GAN); of other
            images it may say something else.
        straight_through: `logits` with the identity's gradient in the place of the squash's, where
            there is one.
        score: images -> float32 (batch,), what a detector refuses an image for when it is large,
            where there is one.
    """

    logits: Function
    purify: Function | None = None
    classify: Function | None = None
    encode: Callable[..., Any] | None = None
    decode: Callable[..., Any] | None = None
    sample: Callable[..., Any] | None = None
    detect: Function | None = None
    squash: Function | None = None
    range_logits: Function | None = None
    straight_through: Function | None = None
    score: Function | None = None

    def __post_init__(self) -> None:
        # Keras' own are called as `predict` calls them: without the argument, layers such as
        # RandomRotation work as in training.
        for name, part in list(vars(self).items()):
            if isinstance(part, keras.layers.Layer):
                object.__setattr__(self, name, functools.partial(part, training=False))

    def with_logits(self, logits: Function) -> "DefendedModel":
        """The same parts with other logits, which none of the parts makes."""
        return dataclasses.replace(
            self, logits=logits, classify=None, range_logits=None, straight_through=None
        )


def purified(classifier: Function, purify: Function, **parts: Any) -> DefendedModel:
    """The usual defence: `classifier` on the output of `purify`, with further fields in `parts`."""
    return DefendedModel(
        logits=lambda images: classifier(purify(images)),
        purify=purify,
        classify=classifier,
        **parts,
    )
