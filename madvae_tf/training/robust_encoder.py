"""Adversarial training of the purifier's encoder alone, with a linear classifier on its features.

    min over encoder and head of E max over |x' - x| <= epsilon, x' in [0, 1] of
        CE(head(encoder(x')), y)

(Madry et al. 2017).

Through a small encoder a step costs a fraction of one through purifier and classifier, so that
robust features are learnt from more images and stronger attacks in the same time. A decoder then
learns to draw from them (`robust.RobustTrainer`). The nearest published idea is CARSO (2025, arXiv
2306.06081), which purifies from the representation of an adversarially trained classifier.
"""

import keras
import tensorflow as tf

from madvae_tf.models.straight_through import with_identity_gradient
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.augment import random_shift
from madvae_tf.training.classifier import correct
from madvae_tf.training.inner_attack import InnerAttack
from madvae_tf.training.replicas import apply_clipped, global_size
from madvae_tf.utils.labels import PAPER_CLASSES

# Added to the seed, so that starts and shifts are not those of the purifier's training.
_START_STREAM, _SHIFT_STREAM = 86_028_121, 104_395_301


class EncoderClassifier(keras.Model):
    """A linear classifier on a purifier's features: images float32 (batch, height, width, channels)
    in [0, 1] -> logits float32 (batch, num_classes).

    Squash and encoder are the purifier's own layers: what is trained here is trained there.
    """

    def __init__(self, purifier: DefenseVAE, num_classes: int = PAPER_CLASSES, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.squash, self.encoder = purifier.squash, purifier.encoder
        self.head = keras.layers.Dense(num_classes, dtype="float32", name="head")
        self.head.build((None, self.encoder.output_shape[1]))
        self.built = True

    def call(self, inputs, training=False):
        return self.logits(inputs, training)

    def logits(
        self, images: tf.Tensor, training: bool = False, around_squash: bool = False
    ) -> tf.Tensor:
        """Logits; with `around_squash` their gradient is as if the squash were the identity."""
        if self.squash is not None:
            squashed = self.squash(images)
            images = with_identity_gradient(images, squashed) if around_squash else squashed
        return self.head(self.encoder(images, training=training))


class EncoderTrainer(keras.Model):
    """Trains `classifier` on images attacked through it, as it is at that step.

    Batches are dicts {"x": float32 (batch, height, width, channels) in [0, 1], "label": int64
    (batch,)}. All randomness comes from (seed, optimizer.iterations), so a resumed run repeats an
    unbroken one.

    Args:
        classifier: on the encoder that is to be trained.
        average: of the same form, for `AverageWeights`; None for no average.
        attack, seed, clip_norm, max_shift, validation_steps: see `robust.RobustTrainer`.
    """

    def __init__(
        self,
        classifier: EncoderClassifier,
        average: EncoderClassifier | None,
        attack: InnerAttack,
        seed: int,
        clip_norm: float = 1.0,
        max_shift: int = 0,
        validation_steps: int = 20,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.classifier, self.average, self.attack, self.seed = classifier, average, attack, seed
        self.clip_norm, self.max_shift, self.validation_steps = (
            clip_norm,
            max_shift,
            validation_steps,
        )
        if average is not None:
            average.set_weights(classifier.get_weights())
            average.trainable = False
        self.built = True

    @property
    def served(self) -> EncoderClassifier:
        """The classifier that is validated and kept: the average where there is one."""
        return self.classifier if self.average is None else self.average

    def call(self, inputs):
        return self.served(inputs)

    def attacked(
        self,
        classifier: EncoderClassifier,
        images: tf.Tensor,
        label: tf.Tensor,
        epsilon: tf.Tensor | float,
        steps: tf.Tensor | int,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """`InnerAttack.perturb` against `classifier`."""

        def logits(given: tf.Tensor) -> tf.Tensor:
            return classifier.logits(given, around_squash=self.attack.straight_through)

        return self.attack.perturb(logits, images, label, epsilon, steps, seed, classifier.squash)

    def train_step(self, data):
        label = data["label"]
        step = tf.cast(self.optimizer.iterations, tf.int32)
        images = random_shift(
            data["x"], self.max_shift, tf.stack([self.seed + _SHIFT_STREAM, step])
        )
        epsilon, steps = self.attack.epsilon_at(step), self.attack.steps_at(step)
        start_seed = tf.stack([self.seed + _START_STREAM, step])
        x_adv = self.attacked(self.classifier, images, label, epsilon, steps, start_seed)
        size = global_size(label)
        with tf.GradientTape() as tape:
            logits = self.classifier.logits(x_adv, training=True)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
            loss = tf.reduce_sum(entropy) / size
        variables = self.classifier.trainable_variables
        apply_clipped(self.optimizer, tape.gradient(loss, variables), variables, self.clip_norm)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return {
            "loss": loss,
            "attacked_accuracy": correct(logits, label) / size,
            "epsilon": epsilon / replicas,
        }

    def test_step(self, data):
        """On clean images, and on images attacked at `attack.epsilon` from one fixed draw of
        starts; `served` is measured.
        """
        images, label = data["x"], data["label"]
        seed = tf.stack([self.seed + _START_STREAM, -1])
        epsilon, steps = self.attack.epsilon, self.validation_steps
        attacked = self.attacked(self.served, images, label, epsilon, steps, seed)
        size = global_size(label)
        return {
            f"{prefix}accuracy": correct(self.served(given), label) / size
            for prefix, given in (("", images), ("attacked_", attacked))
        }
