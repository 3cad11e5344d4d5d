"""Attacks on a classifier, by name, and the driver that runs them (section 3.1)."""

from madvae_tf.attacks.base import Attack, AttackResult, Target, attack_batches, fold_seed, run_attack
from madvae_tf.attacks.carlini_wagner import CarliniWagner
from madvae_tf.attacks.gradient import FGSM, MIFGSM, PGD, NoAttack, RandFGSM
from madvae_tf.attacks.single_pixel import SinglePixel

ATTACKS: dict[str, type[Attack]] = {
    attack.name: attack for attack in (NoAttack, FGSM, RandFGSM, CarliniWagner, MIFGSM, PGD, SinglePixel)
}

__all__ = ["ATTACKS", "Attack", "AttackResult", "Target", "attack_batches", "fold_seed", "run_attack"]
