"""Training of a purifier against attacks on the whole system: the variant `robust`.

    min over the purifier of E max over |x' - x| <= epsilon, x' in [0, 1] of CE(classifier(purifier(x')), y)

The classifier is frozen; the purifier minimises the variant's loss on what the attack finds (Madry et al. 2017, with a purifier in the
place of the classifier), with the clean image as what is to be restored. The inner maximum is sought by
`adversarial.attack_within`, which says why epsilon must grow and why one step starts at random and overshoots. For several norms, each
image of a batch is attacked in one of them (Tramer and Boneh 2019 take the worst, or the mean, of attacks in all: a pass for each).

The attack goes through what will be deployed: the latent mean, and batch normalisation by its moving statistics. The pass that
learns samples z and normalises by its batch, and it alone moves the statistics; they are therefore those of attacked images.
An attack through batch statistics would make one image's perturbation depend on the others', which no attacker of a deployed
system can do, and it would have to synchronise replicas inside its loop.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

from madvae_tf import losses
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.adversarial import attack_within
from madvae_tf.training.augment import random_shift
from madvae_tf.training.balls import Ball, CrossingBall, L2Ball, LinfBall, SlopedL2Ball, TurnsBall
from madvae_tf.training.classifier import correct
from madvae_tf.training.defense import DefenseTrainer
from madvae_tf.training.replicas import global_size

# Added to the seed, so that neither starts nor shifts are drawn from the numbers of the noise.
_START_STREAM, _SHIFT_STREAM = 32_452_843, 49_979_687


@dataclasses.dataclass(frozen=True)
class InnerAttack:
    """The attack that every step makes, and how it grows.

    Attributes:
        epsilon: radius once the ramp is over.
        start_epsilon: at step 0.
        ramp_steps: training steps of the ramp; 0 for none.
        attack_steps, late_attack_steps: sign steps before training step `late_start`, and from it on.
        step_ratio: length of a step in epsilons, for one or two of them; for n > 2, 2 / n of it. With `falling` that of the first step.
        norm: of `NORMS`; "both": every other image of a batch within `epsilon` in L-infinity, the rest in L2.
        l2_epsilon: the L2 radius of "both"; it grows as epsilon does.
        crossing: whether its steps in L2 are those of the attack `crossing`, by the gradient without the squash's slope (that of
            L-infinity has the same signs either way); needs a purifier with a squash. A step along the gradient misses what a squash lets
            through: a few pixels, taken across its threshold.
        falling: of n steps the i-th, from 0, is `step_ratio` (1 - i / n) epsilon long: first it looks far, then near. As many steps of one
            length find far less.
        turns: what the images of a batch are attacked by in turn, of `turns.KINDS`, joined by commas: in L-infinity, in L2 along the gradient, in L2
            by crossing. Empty: what `norm` and `crossing` say. A purifier withstands only what it is trained against: behind a squash
            the gradient finds what `crossing` does not, and the other way round.
    """

    epsilon: float = 0.3
    start_epsilon: float = 0.05
    ramp_steps: int = 0
    attack_steps: int = 1
    late_attack_steps: int = 1
    late_start: int = 0
    step_ratio: float = 1.25
    norm: str = "linf"
    l2_epsilon: float = 2.0
    crossing: bool = False
    falling: bool = False
    turns: str = ""

    @property
    def kinds(self) -> tuple[str, ...]:
        """What images are attacked by in turn, of `turns.KINDS`."""
        if self.turns:
            return tuple(self.turns.split(","))
        in_l2 = "crossing" if self.crossing else "l2"
        return {"linf": ("linf",), "l2": (in_l2,), "both": ("linf", in_l2)}[self.norm]

    @property
    def around(self) -> bool:
        """Whether gradients leave out the squash's slope: what is not `crossing` has the same signs either way, or puts it back."""
        return "crossing" in self.kinds

    def ball(
        self,
        images: tf.Tensor,
        radius: tf.Tensor | float,
        squash: Callable[[tf.Tensor], tf.Tensor] | None = None,
    ) -> Ball:
        """Where an attack of this radius (L-infinity, for "both") may go; `squash`, for crossing: what the system begins with."""
        begins: Any = squash
        makers: dict[str, Any] = {
            "linf": LinfBall,
            "l2": functools.partial(SlopedL2Ball, squash=begins) if self.around else L2Ball,
            "crossing": functools.partial(CrossingBall, squash=begins),
        }
        in_l2 = self.l2_epsilon / self.epsilon if self.norm == "both" else 1.0
        kinds = [(makers[kind], 1.0 if kind == "linf" else in_l2) for kind in self.kinds]
        if len(kinds) == 1:
            return kinds[0][0](images, radius)
        return TurnsBall(images, radius, kinds)

    def epsilon_at(self, step: tf.Tensor) -> tf.Tensor:
        """start_epsilon + (epsilon - start_epsilon) min(1, step / ramp_steps), float32 ()."""
        part = tf.minimum(1.0, tf.cast(step, tf.float32) / self.ramp_steps) if self.ramp_steps else 1.0
        return self.start_epsilon + (self.epsilon - self.start_epsilon) * tf.convert_to_tensor(part)

    def steps_at(self, step: tf.Tensor) -> tf.Tensor:
        """Sign steps of the attack at training step `step`, int32 ()."""
        return tf.where(step < self.late_start, self.attack_steps, self.late_attack_steps)

    def step_size(self, epsilon: tf.Tensor | float, steps: tf.Tensor | int) -> tf.Tensor:
        """Length of one of `steps` sign steps, of the first with `falling`; float32 ()."""
        if self.falling:
            return epsilon * tf.constant(self.step_ratio)
        return epsilon * self.step_ratio * tf.minimum(1.0, 2.0 / tf.cast(steps, tf.float32))


class RobustTrainer(DefenseTrainer):
    """Trains `purifier` on images attacked through purifier and classifier, as they are at that step.

    Batches are dicts {"x": float32 (batch, 28, 28, 1) in [0, 1], "label": int64 (batch,)}. All randomness comes from
    (seed, optimizer.iterations), so a resumed run repeats an unbroken one.

    Args:
        purifier, classifier, weights, seed, clip_norm, max_shift: see `DefenseTrainer`. With a weight for "consistency", clean
            images join the attacked ones in every step, so that batch normalisation sees both.
        attack: the inner attack.
        average: decay of the exponential average of all weights, moving statistics included, that `AverageWeights` keeps; 0: none.
        validation_steps: sign steps of the attack of `test_step`, at the full epsilon.
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
        **kwargs,
    ):
        super().__init__(purifier, classifier, weights, seed, clip_norm, max_shift, **kwargs)
        self.attack = attack
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
        """`attack_within` against the deployed system of `purifier`; the arguments are its own."""
        purify = purifier.purify_around_squash if self.attack.around else purifier.purify
        return attack_within(
            lambda given: self._classify(purify(given)),
            images,
            label,
            epsilon,
            self.attack.step_size(epsilon, steps),
            steps,
            seed,
            functools.partial(self.attack.ball, squash=purifier.squash),
            self.attack.falling,
        )

    def forward(self, data: Mapping[str, tf.Tensor], noise: tf.Tensor, training: bool) -> losses.Forward:
        """As `DefenseTrainer.forward`; with consistency, the batch is clean images and then the same ones attacked."""
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
        x_adv = self.attacked(self.purifier, clean, label, epsilon, steps, start_seed)
        given = {"x_adv": x_adv, "x": clean, "label": label}
        if "consistency" in self.term_weights:
            given = {
                name: tf.concat([both, given[name]], axis=0)
                for name, both in (("x_adv", clean), ("x", clean), ("label", label))
            }
        logs, forward = self.learn(given)
        logits: Any = forward.class_logits
        # The attacked images come last.
        logs["attacked_accuracy"] = correct(logits[-tf.shape(label)[0] :], label) / global_size(label)
        state = {"epsilon": epsilon}
        if self.purifier.squash is not None:
            state["squash_scale"] = self.purifier.squash.scale
            state["squash_center"] = tf.convert_to_tensor(self.purifier.squash.center)
        replicas = tf.distribute.get_replica_context().num_replicas_in_sync
        return logs | {name: value / replicas for name, value in state.items()}

    def test_step(self, data):
        """On clean images, and on images attacked at the full epsilon from one fixed draw of starts; `served` is measured."""
        images, label = data["x"], data["label"]
        seed = tf.stack([self.seed + _START_STREAM, -1])
        attacked = self.attacked(self.served, images, label, self.attack.epsilon, self.validation_steps, seed)
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


class AverageWeights(keras.callbacks.Callback):
    """After every step: average <- d average + (1 - d) weights, of a `RobustTrainer` with an average.

    d is the trainer's decay, less in the first steps, (1 + t) / (10 + t), so that the initial weights are soon forgotten. It runs
    outside the replicas: there a mirrored variable is one.
    """

    def on_train_batch_end(self, batch, logs=None):
        if self.model.average is None:
            return
        self._assign(tf.constant(min(self.model.decay, (1 + batch) / (10 + batch)), tf.float32))

    # In one call: the weights are many, and this comes after every step.
    @tf.function
    def _assign(self, decay: tf.Tensor) -> None:
        for mean, now in zip(self.model.average.weights, self.model.purifier.weights, strict=True):
            mean.assign(decay * tf.convert_to_tensor(mean) + (1 - decay) * tf.convert_to_tensor(now))


def late_start(total_steps: int, late_from: float) -> int:
    """The first step of the late attack: `late_from` in [0, 1] of the training comes before it."""
    return round(total_steps * late_from)
