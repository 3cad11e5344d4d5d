"""The substitutes A to E of Table 7: the attacker's own models in black-box attacks (section 3.2).
All give logits.

The shapes are Table 7's, the paddings those that Defense-GAN (Samangouei et al. 2018), from which
the table is taken, uses: the first convolution keeps the size ("same"), the others are unpadded.
Where a released code differs from the table (a second 5 x 5 convolution in C, one dropout in D,
two-dimensional dropout), the table is followed.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from madvae_tf.utils.errors import UserError, lookup
from madvae_tf.utils.images import IMAGE_SHAPE, SIDES, Shape, as_shape, shape_entry
from madvae_tf.utils.labels import PAPER_CLASSES, classes_entry


class Convolution(NamedTuple):
    """A convolution of `filters` square kernels, and ReLU."""

    filters: int
    kernel: int
    stride: int
    padding: str = "valid"


class Hidden(NamedTuple):
    """A dense layer and ReLU; what comes from a convolution is flattened."""

    units: int


class Dropout(NamedTuple):
    """Dropout of `rate`, in training only."""

    rate: float


Place = Convolution | Hidden | Dropout

_FULLY_CONNECTED: tuple[Place, ...] = (Hidden(200), Dropout(0.5), Hidden(200), Dropout(0.5))

# Table 7 from the top; every column ends in FC(10), here FC(num_classes), whose softmax is left to
# the loss.
ARCHITECTURES: dict[str, tuple[Place, ...]] = {
    "A": (
        *(Convolution(64, 5, 1, "same"), Convolution(64, 5, 2), Dropout(0.25)),
        *(Hidden(128), Dropout(0.5)),
    ),
    "B": (
        *(
            Dropout(0.2),
            Convolution(64, 8, 2, "same"),
            Convolution(128, 6, 2),
            Convolution(128, 5, 1),
        ),
        Dropout(0.5),
    ),
    "C": (
        *(Convolution(128, 3, 1, "same"), Convolution(64, 3, 2), Dropout(0.25)),
        *(Hidden(128), Dropout(0.5)),
    ),
    "D": _FULLY_CONNECTED,
    "E": tuple(place for place in _FULLY_CONNECTED if not isinstance(place, Dropout)),
}


def least_side(places: tuple[Place, ...]) -> int:
    """The least height and width of images that leave every convolution a pixel at least."""

    def left(side: int) -> int:
        for place in places:
            if isinstance(place, Convolution):
                side -= 0 if place.padding == "same" else place.kernel - 1
                side = -(-side // place.stride)
        return side

    return next(side for side in SIDES if left(side) >= 1)


@keras.saving.register_keras_serializable("madvae_tf")
class SubstituteClassifier(keras.Model):
    """A column of Table 7: images float32 (batch, height, width, channels) in [0, 1] -> logits
    float32 (batch, num_classes).

    Args:
        architecture: a key of `ARCHITECTURES`, "A" to "E".
        dropout: a switch. Above 0 the architecture's own rates are used, whatever its size; with 0
            there is none.
        image_shape: (height, width, channels) of the images.
        num_classes: how many logits there are.
        dtype: a Keras dtype policy, float32 by default, whatever Keras' global one is; the logits
            are float32 under "mixed_bfloat16" too.

    Raises:
        UserError: an unknown architecture, or images too small for it (`least_side`).
    """

    def __init__(
        self,
        architecture: str,
        dropout: float = 0.5,
        image_shape: Shape = IMAGE_SHAPE,
        num_classes: int = PAPER_CLASSES,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.image_shape = as_shape(image_shape)
        self.num_classes = num_classes
        self.architecture = architecture
        self.dropout = dropout
        computing: list[keras.layers.Layer] = []
        rates: dict[int, float] = {}
        places = lookup(ARCHITECTURES, architecture, "substitute")
        if min(self.image_shape[:2]) < (least := least_side(places)):
            raise UserError(
                f"Invalid image_shape for substitute {architecture}: received {self.image_shape},"
                f" expected a height and a width of at least {least}, below which it has nothing"
                " left to convolve; take another letter of Table 7."
            )
        for place in places:
            if isinstance(place, Dropout):
                rates[len(computing)] = place.rate
            else:
                computing += self._layers_of(place)
        computing += self._dense(num_classes, name="logits")
        self.layers_in_order = computing
        # The rate at which what comes to the layer of that number is dropped.
        self.rates = tuple(rates.get(number, 0.0) for number in range(len(computing)))
        shape = (None, *self.image_shape)
        for layer in computing:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def _layers_of(self, place: Convolution | Hidden) -> list[keras.layers.Layer]:
        if isinstance(place, Hidden):
            return self._dense(place.units, activation="relu")
        return [keras.layers.Conv2D(*place, activation="relu", dtype=self.dtype_policy)]

    def _dense(self, units: int, **options: Any) -> list[keras.layers.Layer]:
        # Flatten leaves a row of features as it is, so it may stand before every dense layer.
        policy = self.dtype_policy
        return [
            keras.layers.Flatten(dtype=policy),
            keras.layers.Dense(units, dtype=policy, **options),
        ]

    def call(self, inputs, training=False):
        return self.logits(inputs)

    def logits(self, images: tf.Tensor, dropout_seed: tf.Tensor | None = None) -> tf.Tensor:
        """Logits of `images`; with `dropout_seed` (int32 (2,)) the stateless dropout of training is
        applied.
        """
        values = images
        for number, (rate, layer) in enumerate(zip(self.rates, self.layers_in_order, strict=True)):
            if dropout_seed is not None and self.dropout > 0 and rate > 0:
                # Folded, not added: the caller's seeds of neighbouring steps differ by little.
                seed = tf.random.fold_in(dropout_seed, number, alg="philox")
                values = tf.nn.experimental.stateless_dropout(
                    values, rate=rate, seed=seed, rng_alg="philox"
                )
            values = layer(values)
        return tf.cast(values, tf.float32)

    def get_config(self):
        own: dict[str, Any] = {"architecture": self.architecture, "dropout": self.dropout}
        own |= {**shape_entry(self.image_shape), **classes_entry(self.num_classes)}
        return {**super().get_config(), **own}
