"""Training of a purifier against attacks on the whole system: the variant `robust`.

    min over the purifier of E max over |x' - x| <= epsilon, x' in [0, 1] of
    CE(classifier(purifier(x')), y)

The classifier is frozen; the purifier minimises the variant's loss on what the attack finds (Madry
et al. 2017, with a purifier in the place of the classifier), with the clean image as what is to be
restored. The inner maximum is sought by `inner_attack.attack_within`, which says why epsilon must
grow and why one step starts at random and overshoots. For several norms, each image of a batch is
attacked in one of them (Tramer and Boneh 2019 take the worst, or the mean, of attacks in all: a
pass for each).

The attack goes through what will be deployed: the latent mean, and batch normalisation by its
moving statistics. The pass that learns samples z and normalises by its batch, and it alone moves
the statistics; they are therefore those of attacked images. An attack through batch statistics
would make one image's perturbation depend on the others', which no attacker of a deployed system
can do, and it would have to synchronise replicas inside its loop.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from madvae_tf import losses
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.augment import random_shift
from madvae_tf.training.classifier import correct
from madvae_tf.training.defense import DefenseTrainer
from madvae_tf.training.inner_attack import InnerAttack
from madvae_tf.training.replicas import global_size
from madvae_tf.training.robust_encoder import EncoderClassifier

# Added to the seed, so that neither starts nor shifts are drawn from the numbers of the noise.
_START_STREAM, _SHIFT_STREAM = 32_452_843, 49_979_687


class RobustTrainer(DefenseTrainer):
    """Trains `purifier` on images attacked through purifier and classifier, as they are at that
    step.

    Batches are dicts {"x": float32 (batch, height, width, channels) in [0, 1], "label": int64
    (batch,)}. All randomness comes from (seed, optimizer.iterations), so a resumed run repeats an
    unbroken one.

    Args:
        purifier, classifier, weights, seed, clip_norm, max_shift: see `DefenseTrainer`. With a
            weight for "consistency", clean images join the attacked ones in every step, so that
            batch normalisation sees both.
        attack: the inner attack.
        average: decay of the exponential average of all weights, moving statistics included, that
            `AverageWeights` keeps; 0: none.
        validation_steps: sign steps of the attack of `test_step`, end to end at `attack.epsilon`.
        encoder_classifier: of `purifier`'s own encoder, trained by `robust_encoder.EncoderTrainer`.
            With it squash and encoder stay as they are, and the training's attacks go through it,
            which costs a fraction of an attack end to end.
    """

    def __init__(
        self,
        purifier: DefenseVAE,
        classifier: keras.Model,
        weights: Mapping[str, float],
        seed: int,
        attack: InnerAttack,
        clip_norm: float = 1.0,
        max_shift: int = 0,
        average: float = 0.0,
        validation_steps: int = 20,
        encoder_classifier: EncoderClassifier | None = None,
        **kwargs,
    ):
        super().__init__(purifier, classifier, weights, seed, clip_norm, max_shift, **kwargs)
        self.attack = attack
        self._encoder_logits = None
        if encoder_classifier is not None:
            encoder_classifier.trainable = False
            # Held in a partial, as the classifier.
            self._encoder_logits = functools.partial(
                encoder_classifier.logits, around_squash=attack.straight_through
            )
        self.validation_steps = validation_steps
        self.decay = average
        self.average = None
        if average:
            self.average = type(purifier).from_config(purifier.get_config())
            self.average.set_weights(purifier.get_weights())
            self.average.trainable = False

    @property
    def served(self) -> DefenseVAE:
        """The purifier that is validated and saved: the average where there is one."""
        return self.purifier if self.average is None else self.average

    def attacked(
        self,
        purifier: DefenseVAE,
        images: tf.Tensor,
        label: tf.Tensor,
        epsilon: tf.Tensor | float,
        steps: tf.Tensor | int,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """`InnerAttack.perturb` against the deployed system of `purifier`."""
        purify = purifier.purify_around_squash if self.attack.straight_through else purifier.purify
        return self.attack.perturb(
            lambda given: self._classify(purify(given)),
            images,
            label,
            epsilon,
            steps,
            seed,
            purifier.squash,
        )

    def _training_images(
        self,
        images: tf.Tensor,
        label: tf.Tensor,
        epsilon: tf.Tensor,
        steps: tf.Tensor,
        seed: tf.Tensor,
    ) -> tf.Tensor:
        """What a step learns from: images attacked through the encoder's classifier where there is
        one, else end to end.
        """
        if self._encoder_logits is None:
            return self.attacked(self.purifier, images, label, epsilon, steps, seed)
        return self.attack.perturb(
            self._encoder_logits, images, label, epsilon, steps, seed, self.purifier.squash
        )

    def forward(
        self, data: Mapping[str, tf.Tensor], noise: tf.Tensor, training: bool
    ) -> losses.Forward:
        """As `DefenseTrainer.forward`; with consistency, the batch is clean images and then the
        same ones attacked.
        """
        forward = super().forward(data, noise, training)
        if "consistency" not in self.term_weights:
            return forward
        logits: Any = forward.class_logits
        clean = logits[: tf.shape(logits)[0] // 2]
        return dataclasses.replace(forward, clean_class_logits=tf.concat([clean, clean], axis=0))

    def train_step(self, data):
        step = tf.cast(self.optimizer.iterations, tf.int32)
        label = data["label"]
        clean = random_shift(data["x"], self.max_shift, tf.stack([self.seed + _SHIFT_STREAM, step]))
        epsilon, steps = self.attack.epsilon_at(step), self.attack.steps_at(step)
        start_seed = tf.stack([self.seed + _START_STREAM, step])
        x_adv = self._training_images(clean, label, epsilon, steps, start_seed)
        given = {"x_adv": x_adv, "x": clean, "label": label}
        if "consistency" in self.term_weights:
            given = {
                name: tf.concat([both, given[name]], axis=0)
                for name, both in (("x_adv", clean), ("x", clean), ("label", label))
            }
        logs, forward = self.learn(given)
        logits: Any = forward.class_logits
        # The attacked images come last.
        logs["attacked_accuracy"] = correct(logits[-tf.shape(label)[0] :], label) / global_size(
            label
        )
        state = {"epsilon": epsilon}
        if self.purifier.squash is not None:
            state["squash_scale"] = self.purifier.squash.scale
            state["squash_center"] = tf.convert_to_tensor(self.purifier.squash.center)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return logs | {name: value / replicas for name, value in state.items()}

    def test_step(self, data):
        """On clean images, and on images attacked at the full epsilon from one fixed draw of
        starts; `served` is measured.
        """
        images, label = data["x"], data["label"]
        seed = tf.stack([self.seed + _START_STREAM, -1])
        attacked = self.attacked(
            self.served, images, label, self.attack.epsilon, self.validation_steps, seed
        )
        size = global_size(label)
        logs = {}
        for prefix, given in (("", images), ("attacked_", attacked)):
            purified = self.served.purify(given)
            logits = self._classify(purified)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
            logs[f"{prefix}accuracy"] = correct(logits, label) / size
            logs[f"{prefix}classification"] = tf.reduce_sum(entropy) / size
            logs[f"{prefix}distance_l2"] = tf.reduce_sum(_norms(purified - images)) / size
        return logs


def _norms(difference: tf.Tensor) -> tf.Tensor:
    return tf.sqrt(tf.reduce_sum(tf.square(difference), axis=(1, 2, 3)))
