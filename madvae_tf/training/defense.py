"""Training of the purifiers: `DefenseTrainer` holds what the loss of a variant needs (section 2.2)."""  # noqa: E501

import functools
import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from madvae_tf import losses
from madvae_tf.models.inference import num_classes_of
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.augment import random_shift
from madvae_tf.training.replicas import apply_clipped, global_size, replica_part

# Added to the seed, so that shifts are not drawn from the numbers of the noise.
_SHIFT_STREAM = 104_729


class DefenseTrainer(keras.Model):
    """A purifier with the frozen classifier, the class centres and the weights of one variant's
    loss terms.

    Batches are dicts {"x_adv", "x": float32 (batch, height, width, channels) in [0, 1], "label":
    int64 (batch,)}. Noise comes from (seed, optimizer.iterations). L_p and L_d share one set of
    centres, trained with the purifier by one optimizer.

    Args:
        purifier: trained in place.
        classifier: frozen; float32 or mixed precision; gives logits, one for each class; a Keras
            model or a `ExternalClassifier`.
        weights: term -> weight, from `losses.weights_of`.
        seed: folded into the noise.
        clip_norm: bound of the global gradient norm; 0 for none.
        max_shift: pixels by which a pair of images is moved, both alike; 0 for none.
        reduction: what L_r and L_kl are divided by, see `losses.divisors`.
    """

    def __init__(
        self,
        purifier: DefenseVAE,
        classifier: Any,
        weights: Mapping[str, float],
        seed: int,
        clip_norm: float = 1.0,
        max_shift: int = 0,
        reduction: str = "elbo",
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        classifier.trainable = False
        self.purifier = purifier
        # Held in a partial, the frozen classifier joins neither the weights nor the saved file.
        self._classify = functools.partial(classifier, training=False)
        self.term_weights = dict(weights)
        self.seed = seed
        self.clip_norm = clip_norm
        self.max_shift = max_shift
        self._divide = losses.divisors(
            reduction, math.prod(purifier.image_shape), purifier.latent_size
        )
        self.centers = None
        if losses.CENTERED & self.term_weights.keys():
            self.centers = self.add_weight(
                shape=(num_classes_of(classifier, purifier.image_shape), purifier.latent_size),
                initializer=keras.initializers.RandomNormal(stddev=1.0, seed=seed),
                name="centers",
            )
        self.built = True

    def call(self, inputs):
        return self.purifier(inputs)

    def forward(
        self, data: Mapping[str, tf.Tensor], noise: tf.Tensor, training: bool
    ) -> losses.Forward:
        """One pass of a batch; `noise` float32 (batch, latent) scales the latent deviation."""
        mean, log_variance = self.purifier.encode(data["x_adv"], training=training)
        z = mean + tf.exp(0.5 * log_variance) * noise
        image_logits = self.purifier.decode_logits(z, training=training)
        needs_classifier = "classification" in self.term_weights or not training
        return losses.Forward(
            clean=data["x"],
            label=data["label"],
            image_logits=image_logits,
            mean=mean,
            log_variance=log_variance,
            z=z,
            centers=None if self.centers is None else tf.convert_to_tensor(self.centers),
            class_logits=self._classify(tf.sigmoid(image_logits)) if needs_classifier else None,
        )

    def train_step(self, data):
        step = tf.cast(self.optimizer.iterations, tf.int32)
        shift_seed = tf.stack([self.seed + _SHIFT_STREAM, step])
        data = {
            **data,
            **{
                name: random_shift(data[name], self.max_shift, shift_seed)
                for name in ("x_adv", "x")
            },
        }
        return self.learn(data)[0]

    def learn(self, data: Mapping[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], losses.Forward]:
        """One step of the optimizer on a batch as it is: the logged values, and the forward pass
        that gave them.
        """
        step = tf.cast(self.optimizer.iterations, tf.int32)
        latent = self.purifier.latent_size

        def draw(size):
            return tf.random.stateless_normal(
                (size, latent), tf.stack([self.seed, step]), alg="philox"
            )

        noise = replica_part(draw, tf.shape(data["label"])[0])
        size = global_size(data["label"])
        with tf.GradientTape() as tape:
            forward = self.forward(data, noise, training=True)
            terms = losses.evaluate_terms(forward, self.term_weights)
            loss = tf.reduce_sum(self._total(terms)) / size
        variables = self.trainable_variables
        apply_clipped(self.optimizer, tape.gradient(loss, variables), variables, self.clip_norm)
        logs = {"loss": loss, **{name: tf.reduce_sum(term) / size for name, term in terms.items()}}
        return logs, forward

    def test_step(self, data):
        """The same terms at the latent mean, and the accuracy of the classifier on the purified
        images.
        """
        latent = self.purifier.latent_size
        forward = self.forward(data, tf.zeros((tf.shape(data["label"])[0], latent)), training=False)
        terms = losses.evaluate_terms(forward, self.term_weights)
        size = global_size(data["label"])
        logits: Any = forward.class_logits
        right = tf.equal(tf.argmax(logits, axis=1), data["label"])
        logs = {"loss": self._total(terms), **terms, "accuracy": tf.cast(right, tf.float32)}
        return {name: tf.reduce_sum(value) / size for name, value in logs.items()}

    def _total(self, terms: Mapping[str, tf.Tensor]) -> tf.Tensor:
        return losses.total(terms, self.term_weights, self._divide)

    def center_norms(self) -> tf.Tensor | None:
        """|c_i| of every class, (classes,), or None. -sigma L_d is unbounded below, so these are
        logged.
        """
        return None if self.centers is None else tf.norm(tf.convert_to_tensor(self.centers), axis=1)
