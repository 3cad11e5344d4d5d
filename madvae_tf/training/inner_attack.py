"""The attack of every step of a robust training: its radius, its steps, and how both grow."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from madvae_tf.attacks.gradient_ascent import gradient_ascent
from madvae_tf.attacks.objectives import ascent
from madvae_tf.attacks.perturbation_sets import (
    L2Ball,
    LinfBall,
    MixedNormBall,
    PerturbationSet,
    SlopedL2Ball,
    ThresholdL2Ball,
)
from madvae_tf.models.defended_model import Function
from madvae_tf.training.replicas import first_row, replica_part
from madvae_tf.utils.images import shape_of

NORMS = ("linf", "l2", "both")


def attack_within(
    logits: Function,
    images: tf.Tensor,
    label: tf.Tensor,
    epsilon: tf.Tensor | float,
    step_size: tf.Tensor | float,
    steps: tf.Tensor | int,
    seed: tf.Tensor,
    perturbation_set: Callable[[tf.Tensor, tf.Tensor | float], PerturbationSet] = LinfBall,
    decaying_steps: bool = False,
    place: tuple[Any, Any] | None = None,
) -> tf.Tensor:
    """Images of high cross-entropy in a perturbation set; no gradient passes.

    Args:
        logits: differentiable, images -> (batch, classes).
        images: float32 (batch, height, width, channels) in [0, 1].
        label: int64 (batch,).
        epsilon, step_size: in the units of the set's radius; L-infinity distances by default.
        steps: of steepest ascent, each projected on the set; 0 leaves the random start.
        seed: int32 (2,), for the start: noise uniform in [-1, 1], of which the set makes a point.
        perturbation_set: images and radius -> where the attack may go.
        decaying_steps: of n steps the i-th, from 0, is 1 - i / n of `step_size` long.
        place: see `replica_part`.

    Returns:
        float32, the shape of `images`.
    """
    perturbations = perturbation_set(images, epsilon)
    noise = replica_part(
        lambda size: tf.random.stateless_uniform(
            tf.stack([size, *shape_of(images)]), seed, -1.0, 1.0, alg="philox"
        ),
        tf.shape(images)[0],
        place,
    )

    def decaying(step: tf.Tensor) -> tf.Tensor:
        return tf.cast(1 - step / steps, tf.float32) * step_size

    x_adv = gradient_ascent(
        lambda x: ascent(logits, "cross_entropy", x, label, label),
        perturbations,
        perturbations.start(noise),
        steps,
        decaying if decaying_steps else step_size,
    )
    return tf.stop_gradient(x_adv)


@dataclasses.dataclass(frozen=True)
class InnerAttack:
    """The attack that every step makes, and how it grows.

    Attributes:
        epsilon: radius that is to be withstood; validation attacks at it.
        radius_ratio: radius of the training's attacks once the ramp is over, in epsilons: what
            withstands more withstands epsilon better.
        start_epsilon: at step 0.
        ramp_steps: training steps of the ramp; 0 for none.
        attack_steps, late_attack_steps: sign steps before training step `late_start`, and from it
            on.
        step_ratio: length of a step in epsilons, for one or two of them; for n > 2, 2 / n of it.
            With `decaying_steps` that of the first step.
        norm: of `NORMS`; "both": every other image of a batch within `epsilon` in L-infinity, the
            rest in L2.
        l2_epsilon: the L2 radius of "both"; it grows as epsilon does.
        threshold_l2: whether its steps in L2 are those of the attack `threshold_l2`, by the
            gradient without the squash's slope (that of L-infinity has the same signs either way);
            needs a purifier with a squash. A step along the gradient misses what a squash lets
            through: a few pixels, taken across its threshold.
        decaying_steps: of n steps the i-th, from 0, is `step_ratio` (1 - i / n) epsilon long: first
            it looks far, then near. As many steps of one length find far less.
        norm_mix: what the images of a batch are attacked by in turn, of `config.norm_mix.KINDS`,
            joined by commas: in L-infinity, in L2 along the gradient, in L2 by `threshold_l2`.
            Empty: what `norm` and `threshold_l2` say. A purifier withstands only what it is trained
            against: behind a squash the gradient finds what `threshold_l2` does not, and the other
            way round.
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
    threshold_l2: bool = False
    decaying_steps: bool = False
    norm_mix: str = ""
    radius_ratio: float = 1.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """What images are attacked by in turn, of `config.norm_mix.KINDS`."""
        if self.norm_mix:
            return tuple(self.norm_mix.split(","))
        in_l2 = "threshold_l2" if self.threshold_l2 else "l2"
        return {"linf": ("linf",), "l2": (in_l2,), "both": ("linf", in_l2)}[self.norm]

    @property
    def straight_through(self) -> bool:
        """Whether gradients leave out the squash's slope.

        What is not `threshold_l2` has the same signs either way, or puts the slope back.
        """
        return "threshold_l2" in self.kinds

    def perturbation_set(
        self,
        images: tf.Tensor,
        radius: tf.Tensor | float,
        squash: Function | None = None,
    ) -> PerturbationSet:
        """Where an attack may go.

        Args:
            images: float32 (batch, height, width, channels) in [0, 1].
            radius: that of L-infinity for "both".
            squash: what the system begins with, for `threshold_l2`.
        """
        begins: Any = squash
        makers: dict[str, Any] = {
            "linf": LinfBall,
            "l2": (
                functools.partial(SlopedL2Ball, squash=begins) if self.straight_through else L2Ball
            ),
            "threshold_l2": functools.partial(ThresholdL2Ball, squash=begins),
        }
        in_l2 = self.l2_epsilon / self.epsilon if self.norm == "both" else 1.0
        kinds = [(makers[kind], 1.0 if kind == "linf" else in_l2) for kind in self.kinds]
        if len(kinds) == 1:
            return kinds[0][0](images, radius)
        return MixedNormBall(images, radius, kinds, first_row(tf.shape(images)[0]))

    def epsilon_at(self, step: tf.Tensor) -> tf.Tensor:
        """From start_epsilon to the training's radius, linear over the ramp; float32 ()."""
        part = (
            tf.minimum(1.0, tf.cast(step, tf.float32) / self.ramp_steps) if self.ramp_steps else 1.0
        )
        end = self.epsilon * self.radius_ratio
        return self.start_epsilon + (end - self.start_epsilon) * tf.convert_to_tensor(part)

    def steps_at(self, step: tf.Tensor) -> tf.Tensor:
        """Sign steps of the attack at training step `step`, int32 ()."""
        return tf.where(step < self.late_start, self.attack_steps, self.late_attack_steps)

    def step_size(self, epsilon: tf.Tensor | float, steps: tf.Tensor | int) -> tf.Tensor:
        """Length of one of `steps` sign steps, of the first with `decaying_steps`; float32 ()."""
        if self.decaying_steps:
            return epsilon * tf.constant(self.step_ratio)
        return epsilon * self.step_ratio * tf.minimum(1.0, 2.0 / tf.cast(steps, tf.float32))

    def perturb(
        self,
        logits: Function,
        images: tf.Tensor,
        label: tf.Tensor,
        epsilon: tf.Tensor | float,
        steps: tf.Tensor | int,
        seed: tf.Tensor,
        squash: Function | None,
    ) -> tf.Tensor:
        """`attack_within` the perturbation set of this attack, against `logits`.

        Their gradient leaves out the squash's slope where `straight_through` says so.
        """
        return attack_within(
            logits,
            images,
            label,
            epsilon,
            self.step_size(epsilon, steps),
            steps,
            seed,
            functools.partial(self.perturbation_set, squash=squash),
            self.decaying_steps,
        )


def late_start(total_steps: int, late_from: float) -> int:
    """The first step of the late attack: `late_from` in [0, 1] of the training comes before it."""
    return round(total_steps * late_from)
