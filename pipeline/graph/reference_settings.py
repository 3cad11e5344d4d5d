"""The settings of the authors' released code, one at a time: each is a vanilla purifier, trained
from nothing.
"""

from madvae_tf.config import Config
from madvae_tf.config.defenses import Parameters, purifier_parameters


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
    "ours": (
        "this project's losses and settings, trained from nothing for as many epochs as the rows"
        " below"
    ),
    "mean_losses": (
        "mean binary cross-entropy per pixel and mean KL per latent dimension, both with beta as"
        " it is"
    ),
    "linear_scale": "the encoder's linear output is itself the latent deviation",
    "batch_512": "batches of 512",
    "no_clean_images": "no clean images among the training pairs",
    "slow_decay": "learning rate times 0.998 per epoch",
    "reference": "all of these together, as the released code",
}
