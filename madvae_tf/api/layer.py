"""A trained purifier as a Keras layer, to stand in front of any model."""

from typing import Any

import keras

from madvae_tf.models.copies import in_precision
from madvae_tf.models.encoders import TABLE5_HALVINGS
from madvae_tf.models.pixels import as_pixels
from madvae_tf.models.seeding import process_as_found
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import IMAGE_SHAPE, Shape

_OF_THE_PURIFIER = (
    *("latent_size", "latent_scale", "squash_scale", "squash_center", "image_shape", "encoder"),
    *("width", "halvings"),
)


@keras.saving.register_keras_serializable("madvae_tf")
class Purifier(keras.layers.Layer):
    """Purifies: (batch, height, width, channels), floating point in [0, 1] or uint8 in [0, 255] ->
    float32 in [0, 1]. Deterministic; gradients flow through it.

    Floats outside [0, 1] are refused when the model runs: Keras casts bytes to floats in front of a
    `Sequential` or functional model, unless its `keras.Input` has dtype="uint8". Frozen, so that
    training of the model around it leaves it as it is; batch normalisation always uses its stored
    statistics. A model with it is saved and loaded as any other; where it is loaded, `import
    madvae_tf.api` comes first.

    Args:
        defense: what `madvae_tf.fit` or `madvae_tf.load` gave, or a purifier of the pipeline (a
            `DefenseVAE`). None makes an untrained one, for weights that are loaded later.
        latent_size, latent_scale, squash_scale, squash_center, image_shape, encoder, width,
            halvings: of the untrained one, see `DefenseVAE`.

    Raises:
        UserError: `defense` is something else.
    """

    def __init__(
        self,
        defense: Any = None,
        *,
        latent_size: int = 128,
        latent_scale: str = "log_variance",
        squash_scale: float = 0.0,
        squash_center: float = 0.5,
        image_shape: Shape = IMAGE_SHAPE,
        encoder: str = "table5",
        width: float = 1.0,
        halvings: tuple[int, int] | None = None,
        **options: Any,
    ):
        super().__init__(**{"trainable": False, "dtype": "float32", **options})
        # Not a decorator: Keras looks at the signature.
        with process_as_found():
            purifier = getattr(defense, "purifier", defense)
            if purifier is None:
                purifier = DefenseVAE(
                    latent_size,
                    latent_scale,
                    squash_scale=squash_scale,
                    squash_center=squash_center,
                    image_shape=image_shape,
                    encoder=encoder,
                    width=width,
                    halvings=halvings,
                )
            if not isinstance(purifier, DefenseVAE):
                raise UserError(
                    f"Invalid defense: received {type(defense).__name__}, expected what"
                    " madvae_tf.fit or madvae_tf.load gives."
                )
            # A copy: what one of them is later trained or frozen to does not reach the other. Made
            # as one that learns: to freeze what says that it is frozen already does not reach its
            # layers.
            self.purifier = in_precision(purifier, "float32", name="purifier", trainable=True)
        self.purifier.trainable = self.trainable
        axes = dict(enumerate(self.purifier.image_shape, start=1))
        self.input_spec = keras.layers.InputSpec(ndim=4, axes=axes)
        # XLA leaves assertions out, so that Keras is not to compile a model with this layer by
        # itself.
        self.supports_jit = False
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.purifier.purify(as_pixels(inputs, "the layer Purifier"))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (input_shape[0], *self.purifier.image_shape)

    def get_config(self) -> dict[str, Any]:
        known = self.purifier.get_config()
        own = {name: known[name] for name in _OF_THE_PURIFIER if name in known}
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Purifier":
        # As `DefenseVAE.from_config`: an entry that is not there is the paper's.
        return super().from_config({"halvings": TABLE5_HALVINGS, **config})
