"""What the report says of a baseline: how it differs from its authors' own, which its figures cannot show."""

import dataclasses

from madvae_tf.config import BaselinesConfig

_GAN = ("gan_iterations", "gan_width", "gan_critic_steps", "gan_learning_rate", "gan_steps", "gan_restarts")
# Baseline -> the fields of the configuration that are its size; their defaults are its authors'.
_SIZES: dict[str, tuple[str, ...]] = {
    "defense_vae": ("defense_vae_epochs",),
    "magnet": ("magnet_epochs", "magnet_learning_rate", "magnet_drop_rate"),
    "defense_gan": _GAN,
    "mad_gan": _GAN,
}
_TRANSFER = (
    "Another network stands in the classifier’s place: the attacks, made on the undefended classifier, are carried over "
    "to it. That says nothing about attacks on the network itself, which is what adversarial training is for."
)
_REMARKS: dict[str, str] = {
    "identity": "Learns from clean images only: what it lacks beside Vanilla is the attack data.",
    "defense_vae": (
        "Its own loss and hyper-parameters (summed cross-entropy, no KL term, Adam 5e-4, batch 16) on this run’s attacked pairs; batch "
        "normalisation uses the training’s statistics, where the authors’ code normalises with those of the attacked test batch."
    ),
    "defense_vae_e2e": "Defense-VAE (REC) with a classifier that was fine-tuned on its output.",
    "mixture": "The variants’ training with one Gaussian per class as the prior (Jang et al., section A.6).",
    "binarization": "Pixels above 0.5 become 1, the others 0.",
    "adversarial_fgsm": _TRANSFER,
    "adversarial_pgd": _TRANSFER,
    "magnet": (
        "Its second line is what it is built for: a detector that refuses images. Detection rate on clean images is its rate of false alarms."
    ),
    "mad_gan": (
        "The paper’s closing idea: the classification loss on generated images, and proximity and distance losses on latents that are drawn "
        "around learnt class centres, since a GAN has no encoder."
    ),
}


def baseline_notes(own: BaselinesConfig) -> dict[str, str]:
    """Baseline -> what a reader must know of it; sizes that differ from the authors' are named with both values."""
    authors = {item.name: item.default for item in dataclasses.fields(BaselinesConfig)}
    notes = {}
    for name in own.names:
        sizes = [
            f"{field} {getattr(own, field):g} (authors: {authors[field]:g})"
            for field in _SIZES.get(name, ())
            if getattr(own, field) != authors[field]
        ]
        parts = [_REMARKS.get(name, ""), f"Not its authors’ size: {', '.join(sizes)}." if sizes else ""]
        if text := " ".join(filter(None, parts)):
            notes[name] = text
    return notes
