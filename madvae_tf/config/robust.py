"""The section of the variant `robust`: a purifier trained against attacks on the whole system."""

from dataclasses import dataclass

from madvae_tf.config.fields import added, check, require
from madvae_tf.config.norm_mix import turns_problem


@dataclass(frozen=True)
class RobustConfig:
    """The variant `robust`, on where `vae.variants` names it. It learns from clean images: no adversarial set, no warm-up.

    The attack on classifier and purifier that every step makes: `epsilon` is its radius, reached from
    `start_epsilon` over `ramp_steps` steps, in `norm`: "linf", "l2" or "both", which attacks every other image within `epsilon` in L-infinity and
    the rest within `l2_epsilon` in L2; `crossing`: what is attacked in L2 is attacked as the attack `crossing` does, by the pixels that it takes across the squash;
    `turns`, with "both": what the images of a batch are attacked by in turn, of linf, l2 and crossing, joined by commas (linf,l2,crossing,l2), in the place of what `norm` and `crossing` say.
    It has `attack_steps` steps, `late_attack_steps` once `late_from` of the training is
    over; a step is `step_ratio` epsilon long, n > 2 steps 2 `step_ratio` / n, and with `falling` the i-th of n, from 0, `step_ratio` (1 - i / n).
    `scale` and `center` are k and b of the squash sigmoid(k (x - b)) before the encoder; a scale of 0: no squash.
    `epochs` of `epoch_steps` steps (0: all training images once), with a validation after each, on `validation_images` attacked by
    `validation_steps` steps; Adam's rate falls from `learning_rate` to `final_learning_rate` along half a cosine.
    `beta` weighs L_kl, `classification` weighs L_c. `consistency` weighs the divergence of the predictions on clean and on
    attacked images (TRADES); above 0, clean images are in every step, too, which costs half as much again. `average` is the decay of
    an exponential average of the weights, which is then what is saved; 0: the last weights.
    `radius_ratio`: the radius that the training's attacks grow to, in epsilons, in either norm; validation attacks at `epsilon` itself.
    `encoder`: "table5", or "vgg", a smaller network (`models.encoders`). `encoder_epochs`: passes in which the encoder is trained first, with a linear
    classifier on it and these same attacks; it then stays as it is, and `epochs` are those of the decoder; 0: all is trained end to end.
    `path`: a `.keras` file of a purifier that was trained elsewhere and stands in the trained one's place, as it is; of the other fields
    only the validation's then count. `start`: a `.keras` file of a purifier that the training goes on from; whether it has a squash, where that now
    stands and the size of its latents are then the file's.
    """

    epsilon: float = 0.3
    start_epsilon: float = 0.05
    ramp_steps: int = 700
    attack_steps: int = 1
    late_attack_steps: int = 1
    late_from: float = 0.7
    step_ratio: float = 1.25
    scale: float = 10.0
    center: float = 0.5
    epochs: int = 2
    epoch_steps: int = 0
    batch_size: int = 64
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-5
    clip_norm: float = 1.0
    max_shift: int = 0
    beta: float = 0.1
    classification: float = 0.3
    consistency: float = 0.0
    average: float = 0.0
    validation_images: int = 500
    validation_steps: int = 20
    norm: str = added("linf")
    l2_epsilon: float = added(2.0)
    crossing: bool = added(False)
    path: str = added("")
    start: str = added("")
    falling: bool = added(False)
    turns: str = added("")
    radius_ratio: float = added(1.0)
    encoder: str = added("table5")
    encoder_epochs: int = added(0)

    def __post_init__(self) -> None:
        check(
            self,
            "robust",
            positive="epsilon attack_steps late_attack_steps step_ratio epochs batch_size learning_rate final_learning_rate "
            "validation_images validation_steps l2_epsilon radius_ratio",
            not_negative="start_epsilon ramp_steps late_from scale epoch_steps clip_norm max_shift beta classification "
            "consistency average encoder_epochs",
        )
        require(self.norm in ("linf", "l2", "both"), "robust.norm", self.norm, "linf, l2 or both")
        if self.crossing:
            require(self.norm != "linf", "robust.norm", self.norm, "l2 or both, with robust.crossing")
            require(
                self.scale > 0, "robust.scale", self.scale, "above 0, a squash to cross, with robust.crossing"
            )
        expected = turns_problem(self.turns, self.norm, self.scale > 0)
        require(not expected, "robust.turns", self.turns, expected)
        if self.norm != "l2":
            require(self.epsilon <= 1, "robust.epsilon", self.epsilon, "at most 1, the range of a pixel")
        require(
            self.start_epsilon <= self.epsilon,
            "robust.start_epsilon",
            self.start_epsilon,
            f"at most robust.epsilon ({self.epsilon})",
        )
        require(self.late_from <= 1, "robust.late_from", self.late_from, "at most 1, the end of the training")
        require(self.encoder in ("table5", "vgg"), "robust.encoder", self.encoder, "table5 or vgg")
        if self.start:
            require(
                not self.encoder_epochs,
                "robust.encoder_epochs",
                self.encoder_epochs,
                "0 with robust.start, whose encoder is trained",
            )
        if self.path:
            require(
                not self.start, "robust.start", self.start, "none beside robust.path, which is not trained"
            )
        require(self.average < 1, "robust.average", self.average, "below 1")
        require(self.max_shift < 14, "robust.max_shift", self.max_shift, "a value below 14 pixels")
