"""Attacks on a classifier, by name, and the driver that runs them (section 3.1)."""

import pkgutil

import madvae_tf.utils.backend  # noqa: F401  # first: it refuses another backend of Keras
from madvae_tf.attacks.apgd import APGD
from madvae_tf.attacks.base import Attack, AttackResult, attack_batches, fold_seed, run_attack
from madvae_tf.attacks.carlini_wagner import CarliniWagner
from madvae_tf.attacks.descent import RestartedPGD
from madvae_tf.attacks.evasion import Evasion
from madvae_tf.attacks.fab import FAB
from madvae_tf.attacks.gradient import FGSM, MIFGSM, PGD, NoAttack, RandFGSM
from madvae_tf.attacks.hop_skip_jump import HopSkipJump
from madvae_tf.attacks.joint import JointAPGD, JointPGD
from madvae_tf.attacks.overpowered import Overpowered
from madvae_tf.attacks.repeated import RepeatedAttack
from madvae_tf.attacks.simba import SimBA
from madvae_tf.attacks.single_pixel import SinglePixel
from madvae_tf.attacks.spsa import SPSA
from madvae_tf.attacks.square import Square
from madvae_tf.attacks.threshold_l2 import ThresholdL2
from madvae_tf.config.attacks import ATTACK_SPECS
from madvae_tf.models.defended_model import DefendedModel

# What adversarial sets are made with.
ATTACKS: dict[str, type[Attack]] = {
    name: pkgutil.resolve_name(f"{__name__}.{spec.implementation}")
    for name, spec in ATTACK_SPECS.items()
}
# What a defence as a whole is tested with (`madvae_tf.evaluation`): several runs, each on what is
# left.
STRONG_ATTACKS: dict[str, type[RepeatedAttack]] = {
    attack.name: attack
    for attack in (
        *(RestartedPGD, APGD, FAB, Square, Overpowered, ThresholdL2),
        *(HopSkipJump, SPSA, SimBA, JointPGD, JointAPGD, Evasion),
    )
}

__all__ = [
    "APGD",
    "ATTACKS",
    "Attack",
    "AttackResult",
    "CarliniWagner",
    "DefendedModel",
    "Evasion",
    "FAB",
    "FGSM",
    "HopSkipJump",
    "JointAPGD",
    "JointPGD",
    "MIFGSM",
    "NoAttack",
    "Overpowered",
    "PGD",
    "RandFGSM",
    "RepeatedAttack",
    "RestartedPGD",
    "SPSA",
    "STRONG_ATTACKS",
    "SimBA",
    "SinglePixel",
    "Square",
    "ThresholdL2",
    "attack_batches",
    "fold_seed",
    "run_attack",
]
