"""A trained purifier as a Keras layer, to stand in front of any model."""

from typing import Any

import keras

from madvae_tf.errors import UserError
from madvae_tf.images import IMAGE_SHAPE
from madvae_tf.models.vae import DefenseVAE


@keras.saving.register_keras_serializable("madvae_tf")
class Purifier(keras.layers.Layer):
    """Purifies: float32 (batch, 28, 28, 1) in [0, 1] -> the same. Deterministic; gradients flow through it.

    Frozen, so that training of the model around it leaves it as it is; batch normalisation always uses its stored
    statistics. A model with it is saved and loaded as any other; where it is loaded, `import madvae_tf.api` comes first.

    Args:
        defense: what `madvae_tf.fit` or `madvae_tf.load` gave, or a purifier of the pipeline (a `DefenseVAE`).
            None makes an untrained one, for weights that are loaded later.
        latent_size, latent_scale: of the untrained one.

    Raises:
        UserError: `defense` is something else.
    """

    def __init__(
        self,
        defense: Any = None,
        *,
        latent_size: int = 128,
        latent_scale: str = "log_variance",
        **options: Any,
    ):
        super().__init__(**{"trainable": False, "dtype": "float32", **options})
        purifier = getattr(defense, "purifier", defense)
        if purifier is None:
            purifier = DefenseVAE(latent_size, latent_scale, dtype="float32")
        if not isinstance(purifier, DefenseVAE):
            raise UserError(
                f"Invalid defense: received {type(defense).__name__}, expected what madvae_tf.fit or madvae_tf.load gives."
            )
        # A copy: what one of them is later trained or frozen to does not reach the other.
        self.purifier = DefenseVAE(purifier.latent_size, purifier.latent_scale, dtype="float32")
        self.purifier.set_weights(purifier.get_weights())
        self.purifier.trainable = self.trainable
        self.built = True

    def call(self, inputs: Any) -> Any:
        return self.purifier.purify(inputs)

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        return (input_shape[0], *IMAGE_SHAPE)

    def get_config(self) -> dict[str, Any]:
        own = {"latent_size": self.purifier.latent_size, "latent_scale": self.purifier.latent_scale}
        return {**super().get_config(), **own}
