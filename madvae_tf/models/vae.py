"""The purifier, a variational autoencoder from adversarial to clean images (Table 5, section A.4).

Table 5 halves an image three times, and pads 28 pixels by 2 on each side so that this comes out:
32, 16, 8, 4. The decoder doubles the 4 x 4 map three times, and crops the 2 again. Images of
another shape follow the same rule, the height and the width each by itself: a side s is halved n
times, as often as leaves 4 pixels (`encoders.halvings_of`), the map has the least side m with
2^n m >= s, and 2^n m - s pixels are padded and cropped, half of them on each side
(`encoders.margins`). So 32 x 32 images have the same 4 x 4 map and no margin, 8 x 8 ones are halved
once, and of 28 x 56 ones a first layer halves the width alone. The innermost channels, the kernels
and the 128 latent dimensions stay; the first and the last convolution have the image's channels.
"""

import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.models.convolutions import Conv2DTranspose
from madvae_tf.models.encoders import (
    ENCODERS,
    TABLE5_HALVINGS,
    channels_of,
    halvings_of,
    margins,
    steps_of,
)
from madvae_tf.models.layers import BatchNormalization, Crop2D
from madvae_tf.models.squash import Squash
from madvae_tf.models.straight_through import with_identity_gradient
from madvae_tf.utils.errors import UserError, lookup
from madvae_tf.utils.images import IMAGE_SHAPE, Shape, as_shape, shape_entry

LATENT_SCALES = ("log_variance", "linear")

# A deviation of exactly 0 has no logarithm.
_VARIANCE_FLOOR = 1e-8


@keras.saving.register_keras_serializable("madvae_tf")
class DefenseVAE(keras.Model):
    """Encodes an adversarial image and decodes a clean one; calling it purifies.

    Table 5 with two readings of it: the scale of the latent Gaussian is a log-variance, and the
    decoder ends in one channel without normalisation (its 64 is a slip). Convolutions carry no bias
    where batch normalisation follows.

    Args:
        latent_size: dimensions of z, at least 1.
        latent_scale: "log_variance", or "linear" as in the reference code: the head's output is
            itself the deviation, of either sign (a sample's distribution does not depend on it),
            and `encode` gives the logarithm of its square.
        initial_deviation: standard deviation of the convolutions' initial weights; 0 for Glorot's
            (Defense-VAE: 0.02).
        squash_scale, squash_center: of a `Squash` before the encoder, at the start; a scale of 0
            for none.
        image_shape: (height, width, channels) of the images, see the module's docstring.
        encoder: what stands before the latent heads, a name of `encoders.ENCODERS`; "table5" is the
            paper's.
        width: of the convolutions and of the map between encoder and decoder, times the paper's
            number of channels; above 0.
        halvings: (down, across), how often encoder and decoder change the resolution; None: see
            `encoders.halvings_of`.
        dtype: a Keras dtype policy, float32 by default, whatever Keras' global one is; variables
            are float32 under "mixed_bfloat16" too.
    """

    def __init__(
        self,
        latent_size: int = 128,
        latent_scale: str = "log_variance",
        initial_deviation: float = 0.0,
        squash_scale: float = 0.0,
        squash_center: float = 0.5,
        image_shape: Shape = IMAGE_SHAPE,
        encoder: str = "table5",
        width: float = 1.0,
        halvings: tuple[int, int] | None = None,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        if latent_scale not in LATENT_SCALES:
            raise UserError(
                f"Invalid latent_scale: received {latent_scale!r}, expected one of"
                f" {', '.join(LATENT_SCALES)}."
            )
        lookup(ENCODERS, encoder, "encoder")
        if not (isinstance(width, int | float) and 0 < width < math.inf):
            raise UserError(f"Invalid width: received {width!r}, expected a number above 0.")
        self.encoder_name = encoder
        self.latent_size = latent_size
        self.latent_scale = latent_scale
        self.initial_deviation = initial_deviation
        self.squash_scale = squash_scale
        self.squash_center = squash_center
        self.image_shape = as_shape(image_shape)
        self.width = width
        down, across = halvings or halvings_of(self.image_shape)
        self.halvings = times = (down, across)
        *sides, channels_of_image = self.image_shape
        inner, margin = zip(*map(margins, sides, times), strict=True)
        strides = steps_of(times)
        *before, innermost = channels_of(len(strides), width)

        def kernel() -> Any:
            # One initializer for several layers would give them the same numbers.
            return (
                keras.initializers.RandomNormal(stddev=initial_deviation)
                if initial_deviation
                else "glorot_uniform"
            )

        policy = self.dtype_policy
        relu = lambda: keras.layers.ReLU(dtype=policy)  # noqa: E731
        norm = lambda: BatchNormalization(dtype=policy)  # noqa: E731

        def up(channels, size, stride, bias=False):
            return Conv2DTranspose(
                channels,
                size,
                stride,
                padding="same",
                use_bias=bias,
                kernel_initializer=kernel(),
                dtype=policy,
            )

        def ups() -> Iterator[Any]:
            for level in reversed(range(len(strides))):
                yield up(before[level], 4, strides[level])
                if level == 0 and any(map(any, margin)):
                    yield Crop2D(margin, dtype=policy)
                yield norm()
                yield relu()

        self.encoder = ENCODERS[encoder](self.image_shape, kernel, policy, times, width)
        encoded = self.encoder.output_shape[1]
        self.mean_head = keras.layers.Dense(latent_size, dtype=policy, name="mean")
        self.log_variance_head = keras.layers.Dense(latent_size, dtype=policy, name="log_variance")
        self.decoder = keras.Sequential(
            [
                keras.Input((latent_size,), dtype="float32"),
                keras.layers.Dense(math.prod(inner) * innermost, activation="relu", dtype=policy),
                keras.layers.Reshape((*inner, innermost), dtype=policy),
                *ups(),
                up(channels_of_image, 5, 1, bias=True),
            ],
            name="decoder",
        )
        # In float32: in bfloat16 s (1 - s) is 0 long before s is 1.
        self.squash = Squash(squash_scale, squash_center, dtype="float32") if squash_scale else None
        # Sub-models alone may be called, so nothing else would build them before saving.
        self.mean_head.build((None, encoded))
        self.log_variance_head.build((None, encoded))
        self.built = True

    def encode(self, images: tf.Tensor, training: bool = False) -> tuple[tf.Tensor, tf.Tensor]:
        """q(z | image): (batch, height, width, channels) in [0, 1] -> mean and log-variance,
        float32 (batch, latent) each.
        """
        if self.squash is not None:
            images = self.squash(images)
        return self.encode_squashed(images, training)

    def encode_squashed(
        self, images: tf.Tensor, training: bool = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """`encode` of images that the squash has been applied to, where there is one."""
        features = self.encoder(images, training=training)
        mean, scale = (
            tf.cast(head(features), tf.float32) for head in (self.mean_head, self.log_variance_head)
        )
        if self.latent_scale == "linear":
            scale = tf.math.log(tf.square(scale) + _VARIANCE_FLOOR)
        return mean, scale

    def decode_logits(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The decoder before its sigmoid: (batch, latent) -> float32 (batch, height, width,
        channels).
        """
        return tf.cast(self.decoder(z, training=training), tf.float32)

    def decode(self, z: tf.Tensor) -> tf.Tensor:
        """(batch, latent) -> float32 images (batch, height, width, channels) in [0, 1]."""
        return tf.sigmoid(self.decode_logits(z))

    def purify(self, images: tf.Tensor) -> tf.Tensor:
        """Decodes the latent mean, so it is deterministic: (batch, height, width, channels) in [0,
        1] -> the same, float32.
        """
        return self.decode(self.encode(images)[0])

    def purify_around_squash(self, images: tf.Tensor) -> tf.Tensor:
        """What `purify` makes, with a gradient as if the squash were the identity (BPDA); of a
        purifier with a squash only.
        """
        squash: Any = self.squash
        squashed = with_identity_gradient(images, squash(images))
        return self.decode(self.encode_squashed(squashed)[0])

    def call(self, inputs):
        return self.purify(inputs)

    def get_config(self):
        own = ("latent_size", "latent_scale", "initial_deviation")
        squash = ("squash_scale", "squash_center") if self.squash_scale else ()
        values = {name: getattr(self, name) for name in (*own, *squash)}
        # What files always had; the rest stands there where it is another.
        others = {
            "encoder": (self.encoder_name, "table5"),
            "width": (self.width, 1.0),
            "halvings": (list(self.halvings), list(TABLE5_HALVINGS)),
        }
        more = {name: value for name, (value, usual) in others.items() if value != usual}
        return {**super().get_config(), **values, **more, **shape_entry(self.image_shape)}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        return super().from_config({"halvings": TABLE5_HALVINGS, **config}, custom_objects)
