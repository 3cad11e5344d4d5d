"""The registry of defences: what each is called, how it is made, and what a reader of its figures
must know.

A row of `BASELINES` is all that the pipeline and the report need of a defence; its class, in
`madvae_tf.defenses`, knows how it is trained and applied. A table without TensorFlow, so that a
plan needs none. The purifiers that one trainer trains are rows of `variants.VARIANTS`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from madvae_tf.config.experiments import BaselinesConfig
from madvae_tf.config.fields import plain
from madvae_tf.config.sections import VaeConfig
from madvae_tf.config.tree import Config
from madvae_tf.config.variants import VARIANTS

Parameters = dict[str, Any]
PARTS = ("purify", "decode", "sample")
# What a variant is called; a baseline's row has its title.
VARIANT_TITLES = {
    "vanilla": "Vanilla",
    "cls": "Classification",
    "pd": "Proximity and distance",
    "combined": "Combined",
    "robust": "Robust",
}
_TRANSFER = (
    "Another network stands in the classifier’s place: the attacks, made on the undefended"
    " classifier, are carried over to it. That says nothing about attacks on the network itself,"
    " which is what adversarial training is for."
)
_GAN = (
    "gan_iterations",
    "gan_width",
    "gan_critic_steps",
    "gan_learning_rate",
    "gan_steps",
    "gan_restarts",
)


@dataclasses.dataclass(frozen=True)
class DefenseSpec:
    """How a baseline is made, and what is said of it.

    Attributes:
        title: what the report calls it.
        parameters: configuration -> the hyper-parameters of its class.
        implementation: "module:Class" within `madvae_tf.defenses`; "" for a row of `VARIANTS`.
        pairs: whether it learns from the adversarial sets.
        warmup: whether it starts from the variants' warm-up, where there is one.
        requires: baselines that must be trained first.
        images: configuration -> how many images of each test set it is measured on (0 = all).
        trained: whether a seed makes another one of it.
        parts: what attacks may ask of it beyond its logits, the fields of `DefendedModel`: purify
            (with classify), which BPDA goes around, decode, whose range the overpowered attack
            searches, and sample, whose draws EOT averages. What is not said here is not attacked.
        sizes: the fields of `BaselinesConfig` that are its size; their defaults are its authors'.
        remark: how it differs from its authors' own, which its figures cannot show.
    """

    title: str
    parameters: Callable[[Config], Parameters]
    implementation: str = ""
    pairs: bool = False
    warmup: bool = False
    requires: tuple[str, ...] = ()
    images: Callable[[Config], int] = lambda config: 0
    trained: bool = True
    parts: tuple[str, ...] = ("purify",)
    sizes: tuple[str, ...] = ()
    remark: str = ""


def parts_of(defense: str) -> tuple[str, ...]:
    """`DefenseSpec.parts` of a baseline; a variant is a VAE and has all; the classifier alone
    ("none") has none.
    """
    if defense == "none":
        return ()
    return BASELINES[defense].parts if defense in BASELINES else PARTS


def purifier_parameters(vae: VaeConfig, name: str, **changes: Any) -> Parameters:
    """Of a row of VARIANTS: only the weights that it uses, so that a change of another one
    re-trains nothing.
    """
    fields = (
        *(
            "latent_size",
            "epochs",
            "batch_size",
            "learning_rate",
            "final_learning_rate",
            "clip_norm",
            "max_shift",
        ),
        *("reduction", "latent_scale", "checkpoint_steps", "image_steps"),
    )
    weights = set(VARIANTS[name].values())
    # Came later: named only where they are used, so that keys stay what they were.
    fused = {"fused_adam": True} if vae.fused_adam else {}
    wide = {"width": vae.width} if vae.width != 1 else {}
    own = {field: getattr(vae, field) for field in (*fields, *sorted(weights))}
    return own | fused | wide | changes


def variant_parameters(vae: VaeConfig, name: str, **changes: Any) -> Parameters:
    """Of a variant that goes on from the warm-up, where there is one."""
    short = {"epoch_steps": vae.epoch_steps} if vae.epoch_steps else {}
    return purifier_parameters(vae, name, first_epoch=vae.warmup_epochs, **short, **changes)


def robust_parameters(config: Config, seed: int) -> Parameters:
    """Of the variant `robust`: its own section, and of the purifiers' what is no hyper-parameter of
    their training.
    """
    own = {
        name: value for name, value in plain(config.robust).items() if name not in ("path", "start")
    }
    return (
        own
        | {name: getattr(config.vae, name) for name in ("latent_size", "image_steps")}
        | {"seed": seed}
    )


def _defense_vae(config: Config) -> Parameters:
    """Li & Ji's hyper-parameters: summed loss without KL term, Adam 5e-4, batch 16, initial
    deviation 0.02.
    """
    return purifier_parameters(
        config.vae,
        "defense_vae",
        epochs=config.baselines.defense_vae_epochs,
        batch_size=16,
        learning_rate=5e-4,
        final_learning_rate=5e-4,
        clip_norm=0.0,
        reduction="sum",
        initial_deviation=0.02,
    )


def _gan(config: Config) -> Parameters:
    own = config.baselines
    return {
        "iterations": own.gan_iterations,
        "width": own.gan_width,
        "critic_steps": own.gan_critic_steps,
        "learning_rate": own.gan_learning_rate,
        "steps": own.gan_steps,
        "restarts": own.gan_restarts,
    }


BASELINES: dict[str, DefenseSpec] = {
    "identity": DefenseSpec(
        "Identity VAE",
        lambda config: purifier_parameters(
            config.vae, "identity", epochs=config.baselines.identity_epochs
        ),
        pairs=True,  # Its validation figures, not its training.
        parts=PARTS,
        remark="Learns from clean images only: what it lacks beside Vanilla is the attack data.",
    ),
    "defense_vae": DefenseSpec(
        "Defense-VAE (REC)",
        _defense_vae,
        pairs=True,
        parts=PARTS,
        sizes=("defense_vae_epochs",),
        remark=(
            "Its own loss and hyper-parameters (summed cross-entropy, no KL term, Adam 5e-4, batch"
            " 16) on this run’s attacked pairs; batch normalisation uses the training’s statistics,"
            " where the authors’ code normalises with those of the attacked test batch."
        ),
    ),
    "defense_vae_e2e": DefenseSpec(
        "Defense-VAE (E2E)",
        lambda config: {"epochs": config.baselines.finetune_epochs},
        pairs=True,
        requires=("defense_vae",),
        parts=PARTS,
        implementation="defense_vae:EndToEnd",
        remark="Defense-VAE (REC) with a classifier that was fine-tuned on its output.",
    ),
    "mixture": DefenseSpec(
        "Mixture-of-Gaussians prior",
        lambda config: variant_parameters(config.vae, "mixture"),
        pairs=True,
        warmup=True,
        parts=PARTS,
        remark=(
            "The variants’ training with one Gaussian per class as the prior (Jang et al., section"
            " A.6)."
        ),
    ),
    "binarization": DefenseSpec(
        "Binarization",
        lambda config: {},
        trained=False,
        implementation="transforms:Binarization",
        remark="Pixels above 0.5 become 1, the others 0.",
    ),
    "blur": DefenseSpec(
        "Blur",
        lambda config: {"sigma": config.baselines.blur_sigma},
        trained=False,
        implementation="transforms:Blur",
    ),
    "bit_depth": DefenseSpec(
        "Bit-depth reduction",
        lambda config: {},
        trained=False,
        implementation="transforms:BitDepth",
        remark="Three bits a channel.",
    ),
    "jpeg": DefenseSpec(
        "JPEG compression",
        lambda config: {},
        trained=False,
        implementation="transforms:Jpeg",
        remark="Quality 75.",
    ),
    "adversarial_fgsm": DefenseSpec(
        "Adversarial training, FGSM",
        lambda config: {"epochs": config.baselines.adversarial_fgsm_epochs},
        parts=(),
        implementation="adversarial_training:AdversarialFGSM",
        remark=_TRANSFER,
    ),
    "adversarial_pgd": DefenseSpec(
        "Adversarial training, PGD",
        lambda config: {
            "epochs": config.baselines.adversarial_pgd_epochs,
            "steps": config.baselines.adversarial_steps,
            "step_size": config.baselines.adversarial_step_size,
        },
        parts=(),
        implementation="adversarial_training:AdversarialPGD",
        remark=_TRANSFER,
    ),
    "magnet": DefenseSpec(
        "MagNet",
        lambda config: {
            "epochs": config.baselines.magnet_epochs,
            "learning_rate": config.baselines.magnet_learning_rate,
            "drop_rate": config.baselines.magnet_drop_rate,
        },
        implementation="magnet:MagNet",
        sizes=("magnet_epochs", "magnet_learning_rate", "magnet_drop_rate"),
        remark=(
            "Its second line is what it is built for: a detector that refuses images. Detection"
            " rate on clean images is its rate of false alarms."
        ),
    ),
    "defense_gan": DefenseSpec(
        "Defense-GAN",
        _gan,
        images=lambda config: config.baselines.gan_images,
        parts=("purify", "decode"),
        implementation="defense_gan:DefenseGan",
        sizes=_GAN,
    ),
    "mad_gan": DefenseSpec(
        "Defense-GAN + MAD losses",
        lambda config: (
            _gan(config)
            | {
                "alpha": config.vae.gamma,
                "beta": config.vae.beta,
                "proximity": config.vae.proximity,
                "sigma": config.vae.sigma,
            }
        ),
        images=lambda config: config.baselines.gan_images,
        parts=("purify", "decode"),
        implementation="defense_gan:MadGan",
        sizes=_GAN,
        remark=(
            "The paper’s closing idea: the classification loss on generated images, and proximity"
            " and distance losses on latents that are drawn around learnt class centres, since a"
            " GAN has no encoder."
        ),
    ),
}


def baseline_notes(own: BaselinesConfig) -> dict[str, str]:
    """Baseline -> what a reader must know of it; sizes that differ from the authors' are named with
    both values.
    """
    authors = {item.name: item.default for item in dataclasses.fields(BaselinesConfig)}
    notes = {}
    for name in own.names:
        spec = BASELINES[name]
        sizes = [
            f"{field} {getattr(own, field):g} (authors: {authors[field]:g})"
            for field in spec.sizes
            if getattr(own, field) != authors[field]
        ]
        parts = [spec.remark, f"Not its authors’ size: {', '.join(sizes)}." if sizes else ""]
        if text := " ".join(filter(None, parts)):
            notes[name] = text
    return notes
