"""The hyper-parameters of the variant `robust`: a purifier trained against attacks on the whole
system.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from madvae_tf.config.fields import added, check, require
from madvae_tf.config.norm_mix import norm_mix_problem
from madvae_tf.config.parameters import parameter

NORMS, ENCODERS = ("linf", "l2", "both"), ("table5", "vgg")


@dataclass(frozen=True)
class RobustParameters:
    """How `robust` is trained: declared and checked here for the configuration, the defence and
    `fit_robust`.

    Attributes:
        epsilon: radius that the attacks of the training reach, and of the validation's.
        start_epsilon: radius at the first step.
        ramp_steps: steps in which it grows from `start_epsilon`.
        attack_steps: steps of the attack that every training step makes.
        late_attack_steps: the same, once `late_from` of the training is over.
        late_from: share of the training, in [0, 1].
        step_ratio: length of a step in epsilons; of n > 2 steps, 2 `step_ratio` / n.
        scale: k of the squash sigmoid(k (x - b)) before the encoder; 0: no squash.
        center: its b.
        epochs: passes, each with a validation after it; of the decoder alone with `encoder_epochs`.
        epoch_steps: steps of a pass; 0: all training images once.
        batch_size: images of a step.
        learning_rate: Adam's, at the start.
        final_learning_rate: at the end, along half a cosine.
        clip_norm: of the gradient's norm; 0: none.
        max_shift: pixels that training images are shifted by, at most.
        beta: weight of L_kl.
        classification: weight of L_c.
        consistency: weight of the divergence of the predictions on clean and on attacked images
            (TRADES); above 0, clean images are in every step, too, which costs half as much again.
        average: decay of an exponential average of the weights, which is then what is saved; 0: the
            last weights.
        validation_images: how many are validated on.
        validation_steps: of the validation's attack.
        norm: "linf", "l2" or "both", which attacks every other image within `epsilon` in L-infinity
            and the rest within `l2_epsilon` in L2.
        l2_epsilon: the L2 radius of "both".
        threshold_l2: attacks in L2 go by the pixels that cross the squash's threshold
            (`attacks.threshold_l2`).
        decaying_steps: of n steps the i-th, from 0, is `step_ratio` (1 - i / n) epsilons long.
        norm_mix: with "both": what the images of a batch are attacked by, of linf, l2 and
            threshold_l2, joined by commas (linf,l2,threshold_l2,l2), in the place of what `norm`
            and `threshold_l2` say.
        radius_ratio: radius that the training's attacks grow to, in epsilons, in either norm.
        encoder: "table5", or "vgg", a smaller network (`models.encoders`).
        encoder_epochs: passes in which the encoder is trained first, with a linear classifier on it
            and these same attacks; it then stays as it is. 0: all is trained end to end.
        width: of encoder and decoder, times their usual number of channels.
    """

    epsilon: float = parameter(0.3, open_minimum=True)
    start_epsilon: float = parameter(0.05)
    ramp_steps: int = parameter(700)
    attack_steps: int = parameter(1, minimum=1)
    late_attack_steps: int = parameter(1, minimum=1)
    late_from: float = parameter(0.7, maximum=1.0)
    step_ratio: float = parameter(1.25, open_minimum=True)
    scale: float = parameter(10.0)
    center: float = parameter(0.5, minimum=-1.0, maximum=2.0)
    epochs: int = parameter(2, minimum=1)
    epoch_steps: int = parameter(0)
    batch_size: int = parameter(64, minimum=1)
    learning_rate: float = parameter(2e-3, open_minimum=True)
    final_learning_rate: float = parameter(1e-5, open_minimum=True)
    clip_norm: float = parameter(1.0)
    max_shift: int = parameter(0, maximum=13)
    beta: float = parameter(0.1)
    classification: float = parameter(0.3)
    consistency: float = parameter(0.0)
    average: float = parameter(0.0, maximum=1.0)
    validation_images: int = parameter(500, minimum=1)
    validation_steps: int = parameter(20, minimum=1)
    norm: str = parameter("linf", added=True)
    l2_epsilon: float = parameter(2.0, open_minimum=True, added=True)
    threshold_l2: bool = parameter(False, added=True)
    decaying_steps: bool = parameter(False, added=True)
    norm_mix: str = parameter("", added=True)
    radius_ratio: float = parameter(1.0, open_minimum=True, added=True)
    encoder: str = parameter("table5", added=True)
    encoder_epochs: int = parameter(0, added=True)
    width: float = parameter(1.0, open_minimum=True, added=True)

    def inconsistencies(self) -> Iterator[tuple[str, str]]:
        """Of what does not fit the rest: the field, and what is expected of it."""
        if self.norm not in NORMS:
            yield "norm", "linf, l2 or both"
        if self.threshold_l2 and self.norm == "linf":
            yield "norm", "l2 or both, with threshold_l2"
        if self.threshold_l2 and not self.scale:
            yield "scale", "above 0, a squash whose threshold is crossed, with threshold_l2"
        if expected := norm_mix_problem(self.norm_mix, self.norm, self.scale > 0):
            yield "norm_mix", expected
        if self.norm != "l2" and self.epsilon > 1:
            yield "epsilon", "at most 1, the range of a pixel"
        if self.start_epsilon > self.epsilon:
            yield "start_epsilon", f"at most epsilon ({self.epsilon:g})"
        if self.encoder not in ENCODERS:
            yield "encoder", " or ".join(ENCODERS)
        if self.average == 1:
            yield "average", "below 1"


@dataclass(frozen=True)
class RobustConfig(RobustParameters):
    """The variant `robust`, on where `vae.variants` names it. It learns from clean images: no
    adversarial set, no warm-up.

    Attributes:
        path: a `.keras` file of a purifier that was trained elsewhere and stands in the trained
            one's place, as it is; of the other fields only the validation's then count.
        start: a `.keras` file of a purifier that the training goes on from; whether it has a
            squash, where that stands and the size of its latents are then the file's.
    """

    path: str = added("")
    start: str = added("")

    def __post_init__(self) -> None:
        check(self, "robust")
        for field, expected in self.inconsistencies():
            require(False, f"robust.{field}", getattr(self, field), expected)
        if self.start:
            require(
                not self.encoder_epochs,
                "robust.encoder_epochs",
                self.encoder_epochs,
                "0 with robust.start, whose encoder is trained",
            )
        if self.path:
            require(
                not self.start,
                "robust.start",
                self.start,
                "none beside robust.path, which is not trained",
            )
