"""What can stand before (or in place of) a classifier, by name: the variants of the paper and its baselines.

A row gives the defence from its hyper-parameters; the defence knows how it is trained and how it is applied (`base`).
"""

import functools
from collections.abc import Callable

from madvae_tf import backend  # noqa: F401  # first: it refuses another backend of Keras
from madvae_tf.defenses.adversarial_training import AdversarialFGSM, AdversarialPGD
from madvae_tf.defenses.base import Defended, Defense, Material
from madvae_tf.defenses.defense_gan import DefenseGan, MadGan
from madvae_tf.defenses.defense_vae import EndToEnd
from madvae_tf.defenses.magnet import MagNet
from madvae_tf.defenses.purifier import variant
from madvae_tf.defenses.robust import Robust
from madvae_tf.defenses.transforms import Binarization, Blur
from madvae_tf.variants import VARIANTS

DEFENSES: dict[str, Callable[..., Defense]] = {
    **{name: functools.partial(variant, name) for name in VARIANTS},
    **{
        defense.name: defense
        for defense in (
            Binarization,
            Blur,
            AdversarialFGSM,
            AdversarialPGD,
            MagNet,
            EndToEnd,
            DefenseGan,
            MadGan,
            # In the place of the row above: this variant is trained in a way of its own.
            Robust,
        )
    },
}

__all__ = ["DEFENSES", "Defended", "Defense", "Material"]
