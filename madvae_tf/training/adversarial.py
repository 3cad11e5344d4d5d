"""Adversarial training: a classifier that learns from attacks on itself.

    min over weights of E max over |x' - x|_inf <= epsilon, x' in [0, 1] of L(x', y)

(Madry et al. 2017).

The inner maximum is sought anew in every step, by sign steps along the gradient from a random point
of the ball: one step is the fast gradient sign method with a random start (Goodfellow et al. 2014;
Wong et al. 2020, "Fast is better than free"), several are projected gradient descent.

Two things keep it from failing. Epsilon grows linearly over the first steps: at the full 0.3 an
untrained network loses every image, and the best it can do is to answer the same for all, a plateau
at chance (loss ln 10) that it may not leave for thousands of steps. And a single step starts at a
random point and may overshoot the ball (1.25 epsilon, then projected): from x itself every image
moves by exactly epsilon in every pixel, and the classifier learns to recognise that pattern (label
leaking, catastrophic overfitting), which holds against FGSM and against nothing else.
"""

from typing import Any

import keras
import tensorflow as tf

from madvae_tf.training.classifier import CLIP_NORM, correct
from madvae_tf.training.inner_attack import attack_within
from madvae_tf.training.replicas import apply_clipped, first_row, global_size

# Added to the seed, so that starts are not drawn from the numbers of the dropout.
_START_STREAM = 15_485_863


class AdversarialTrainer(keras.Model):
    """Trains `classifier` with cross-entropy on images attacked against it, as it is at that step.

    Batches are dicts {"x": float32 (batch, height, width, channels) in [0, 1], "label": int64
    (batch,)}. All randomness comes from (seed, optimizer.iterations), so a resumed run repeats an
    unbroken one.

    Args:
        classifier: a model with `logits(images, dropout_seed)`, without batch normalisation.
        epsilon: L-infinity radius of the ball once the warm-up is over.
        steps: steps of the inner attack.
        step_size: of the inner attack, at the full epsilon; during the warm-up it is scaled with
            epsilon.
        warmup_steps: training steps before epsilon is full: (step + 1) / (warmup_steps + 1) of it;
            0 for none.
        half_clean: every other image of a batch, over all replicas, is left as it is.
        seed: folded into starts and dropout.
    """

    def __init__(
        self,
        classifier: keras.Model,
        epsilon: float,
        steps: int,
        step_size: float,
        warmup_steps: int,
        half_clean: bool,
        seed: int,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.classifier = classifier
        self.epsilon = epsilon
        self.steps = steps
        self.step_size = step_size
        self.warmup_steps = warmup_steps
        self.half_clean = half_clean
        self.seed = seed
        self.built = True

    def call(self, inputs):
        return self.classifier(inputs)

    def strength(self, step: tf.Tensor) -> tf.Tensor:
        """The part of epsilon that is in force at `step`, float32 in (0, 1]."""
        return tf.minimum(1.0, tf.cast(step + 1, tf.float32) / (self.warmup_steps + 1.0))

    def attacked(
        self,
        images: tf.Tensor,
        label: tf.Tensor,
        strength: tf.Tensor,
        seed: tf.Tensor,
        place: tuple[Any, Any] | None = None,
    ) -> tf.Tensor:
        """`attack_within` against the classifier without dropout, at a part of epsilon and step."""
        epsilon, step_size = strength * self.epsilon, strength * self.step_size
        return attack_within(
            self.classifier.logits, images, label, epsilon, step_size, self.steps, seed, place=place
        )

    def train_step(self, data):
        images, label = data["x"], data["label"]
        step = tf.cast(self.optimizer.iterations, tf.int32)
        context = tf.distribute.get_replica_context()
        replica = tf.cast(context.replica_id_in_sync_group, tf.int32)
        strength = self.strength(step)
        start_seed = tf.stack([self.seed + _START_STREAM, step])
        # Dropout is drawn per replica: its mask has the shape of an activation, not of the global
        # batch.
        dropout_seed = tf.stack([self.seed + 7919 * replica, step])
        if self.half_clean:
            # Of the global batch the odd rows, of which this replica may have one more or fewer
            # than another.
            local = tf.shape(label)[0]
            first = first_row(local)
            odd = (first + 1) % 2
            place = (first // 2, context.num_replicas_in_sync * local // 2)
            attacked = self.attacked(images[odd::2], label[odd::2], strength, start_seed, place)
            images = tf.concat([images[1 - odd :: 2], attacked], axis=0)
            label = tf.concat([label[1 - odd :: 2], label[odd::2]], axis=0)
        else:
            images = self.attacked(images, label, strength, start_seed)
        with tf.GradientTape() as tape:
            logits = self.classifier.logits(images, dropout_seed)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
            loss = tf.reduce_sum(entropy) / global_size(label)
        variables = self.classifier.trainable_variables
        apply_clipped(self.optimizer, tape.gradient(loss, variables), variables, CLIP_NORM)
        epsilon = strength * self.epsilon / context.num_replicas_in_sync
        return {
            "loss": loss,
            "accuracy": correct(logits, label) / global_size(label),
            "epsilon": epsilon,
        }

    def test_step(self, data):
        """On clean images, and on images attacked at the full epsilon from fixed starts."""
        images, label = data["x"], data["label"]
        seed = tf.stack([self.seed + _START_STREAM, -1])
        attacked = self.attacked(images, label, tf.constant(1.0), seed)
        size = global_size(label)
        logs = {}
        for prefix, given in (("", images), ("attacked_", attacked)):
            logits = self.classifier.logits(given)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
            logs[f"{prefix}loss"] = tf.reduce_sum(entropy) / size
            logs[f"{prefix}accuracy"] = correct(logits, label) / size
        return logs
