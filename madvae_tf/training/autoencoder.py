"""Training of autoencoders to undo Gaussian noise (Meng & Chen 2017, section 4.2): min E |AE(clip(x
+ noise)) - x|^2.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf

from madvae_tf.training.replicas import global_size, replica_part
from madvae_tf.utils.images import shape_of


class AutoencoderTrainer(keras.Model):
    """Trains several autoencoders beside each other, on the same batches and the same noise.

    They share no weights, and the loss is the sum of theirs, so under Adam each learns what it
    would learn alone. Batches are dicts with "x", float32 (batch, height, width, channels) in [0,
    1], and "label". Noise comes from (seed, optimizer.iterations), so a resumed run repeats an
    unbroken one.

    Args:
        autoencoders: images -> images, float32.
        noise: standard deviation of the Gaussian noise; noisy images are clipped to [0, 1].
        seed: folded into the noise.
    """

    def __init__(self, autoencoders: Sequence[keras.Model], noise: float, seed: int, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.autoencoders = list(autoencoders)
        self.noise = noise
        self.seed = seed
        self.built = True

    def call(self, inputs):
        return [autoencoder(inputs) for autoencoder in self.autoencoders]

    def noisy(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """The images as they are given to the autoencoders at `step`."""
        noise = replica_part(
            lambda size: tf.random.stateless_normal(
                tf.stack([size, *shape_of(images)]), tf.stack([self.seed, step]), alg="philox"
            ),
            tf.shape(images)[0],
        )
        return tf.clip_by_value(images + self.noise * noise, 0.0, 1.0)

    def train_step(self, data):
        noisy = self.noisy(data["x"], tf.cast(self.optimizer.iterations, tf.int32))
        with tf.GradientTape() as tape:
            logs = self._measured(noisy, data)
        variables = self.trainable_variables
        # Not clipped: a norm over both would tie them together.
        self.optimizer.apply_gradients(
            zip(tape.gradient(logs["loss"], variables), variables, strict=True)
        )
        return logs

    def test_step(self, data):
        """The errors on images without noise."""
        return self._measured(data["x"], data)

    def _measured(self, given, data):
        errors = [
            tf.reduce_sum(tf.reduce_mean(tf.square(output - data["x"]), axis=(1, 2, 3)))
            / global_size(data["label"])
            for output in self(given)
        ]
        names = {f"loss_{number}": error for number, error in enumerate(errors, 1)}
        return {"loss": tf.add_n(errors), **names}
