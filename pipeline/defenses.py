"""The defences of a configuration: their hyper-parameters, and what each learns from.

Here without TensorFlow, so that a plan needs none; the names are those of `madvae_tf.defenses.DEFENSES`.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from madvae_tf.config import Config, VaeConfig, plain
from madvae_tf.variants import VARIANTS

Parameters = dict[str, Any]
PARTS = ("purify", "decode", "sample")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How a baseline is made.

    Attributes:
        parameters: configuration -> the hyper-parameters of its row of `DEFENSES`.
        pairs: whether it learns from the adversarial sets.
        warmup: whether it starts from the variants' warm-up, where there is one.
        requires: baselines that must be trained first.
        images: configuration -> how many images of each test set it is measured on (0 = all).
        trained: whether a seed makes another one of it.
        parts: what attacks may ask of it beyond its logits, the fields of `Defended`: purify (with classify), which BPDA goes around, decode, whose
            range the overpowered attack searches, and sample, whose draws EOT averages. What is not said here is not attacked.
    """

    parameters: Callable[[Config], Parameters]
    pairs: bool = False
    warmup: bool = False
    requires: tuple[str, ...] = ()
    images: Callable[[Config], int] = lambda config: 0
    trained: bool = True
    parts: tuple[str, ...] = ("purify",)


def parts_of(defense: str) -> tuple[str, ...]:
    """`Recipe.parts` of a baseline; a variant is a VAE and has all; the classifier alone ("none") has none."""
    if defense == "none":
        return ()
    return BASELINES[defense].parts if defense in BASELINES else PARTS


def purifier_parameters(vae: VaeConfig, name: str, **changes: Any) -> Parameters:
    """Of a row of VARIANTS: only the weights that it uses, so that a change of another one re-trains nothing."""
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
    # Came later: named only where it is used, so that keys stay what they were.
    fused = {"fused_adam": True} if vae.fused_adam else {}
    return {field: getattr(vae, field) for field in (*fields, *sorted(weights))} | fused | changes


def variant_parameters(vae: VaeConfig, name: str, **changes: Any) -> Parameters:
    """Of a variant that goes on from the warm-up, where there is one."""
    short = {"epoch_steps": vae.epoch_steps} if vae.epoch_steps else {}
    return purifier_parameters(vae, name, first_epoch=vae.warmup_epochs, **short, **changes)


def robust_parameters(config: Config, seed: int) -> Parameters:
    """Of the variant `robust`: its own section, and of the purifiers' what is no hyper-parameter of their training."""
    own = {name: value for name, value in plain(config.robust).items() if name not in ("path", "start")}
    return own | {name: getattr(config.vae, name) for name in ("latent_size", "image_steps")} | {"seed": seed}


def _defense_vae(config: Config) -> Parameters:
    """Li & Ji's hyper-parameters: summed loss without KL term, Adam 5e-4, batch 16, initial deviation 0.02."""
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


BASELINES: dict[str, Recipe] = {
    "identity": Recipe(
        lambda config: purifier_parameters(config.vae, "identity", epochs=config.baselines.identity_epochs),
        pairs=True,  # Its validation figures, not its training.
        parts=PARTS,
    ),
    "defense_vae": Recipe(_defense_vae, pairs=True, parts=PARTS),
    "defense_vae_e2e": Recipe(
        lambda config: {"epochs": config.baselines.finetune_epochs},
        pairs=True,
        requires=("defense_vae",),
        parts=PARTS,
    ),
    "mixture": Recipe(
        lambda config: variant_parameters(config.vae, "mixture"),
        pairs=True,
        warmup=True,
        parts=PARTS,
    ),
    "binarization": Recipe(lambda config: {}, trained=False),
    "blur": Recipe(lambda config: {"sigma": config.baselines.blur_sigma}, trained=False),
    "adversarial_fgsm": Recipe(lambda config: {"epochs": config.baselines.adversarial_fgsm_epochs}, parts=()),
    "adversarial_pgd": Recipe(
        lambda config: {
            "epochs": config.baselines.adversarial_pgd_epochs,
            "steps": config.baselines.adversarial_steps,
            "step_size": config.baselines.adversarial_step_size,
        },
        parts=(),
    ),
    "magnet": Recipe(
        lambda config: {
            "epochs": config.baselines.magnet_epochs,
            "learning_rate": config.baselines.magnet_learning_rate,
            "drop_rate": config.baselines.magnet_drop_rate,
        }
    ),
    "defense_gan": Recipe(
        _gan, images=lambda config: config.baselines.gan_images, parts=("purify", "decode")
    ),
    "mad_gan": Recipe(
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
    ),
}


def reference_parameters(config: Config, setting: str) -> Parameters:
    """The vanilla purifier of one row of `REFERENCE_SETTINGS`, from nothing."""
    vae = config.vae
    epochs = config.reference.epochs
    slow = {"final_learning_rate": vae.learning_rate * 0.998**epochs}
    changes: dict[str, Parameters] = {
        "ours": {},
        "mean_losses": {"reduction": "mean"},
        "linear_scale": {"latent_scale": "linear"},
        "batch_512": {"batch_size": 512},
        "no_clean_images": {"attacked_only": True},
        "slow_decay": slow,
        "reference": {
            "reduction": "mean",
            "latent_scale": "linear",
            "batch_size": 512,
            "attacked_only": True,
            **slow,
        },
    }
    return purifier_parameters(vae, "vanilla", **{"epochs": epochs, **changes[setting]})


# What the report says of each setting.
REFERENCE_SETTINGS: dict[str, str] = {
    "ours": "this project's losses and settings, trained from nothing for as many epochs as the rows below",
    "mean_losses": "mean binary cross-entropy per pixel and mean KL per latent dimension, both with beta as it is",
    "linear_scale": "the encoder's linear output is itself the latent deviation",
    "batch_512": "batches of 512",
    "no_clean_images": "no clean images among the training pairs",
    "slow_decay": "learning rate times 0.998 per epoch",
    "reference": "all of these together, as the released code",
}
