"""The registry of the attacks that adversarial sets are made with.

A row is all that the pipeline and the report need of an attack; its class is in
`madvae_tf.attacks`. A table without TensorFlow, so that a plan needs none.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from madvae_tf.config.sections import AttackConfig

Parameters = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class AttackSpec:
    """How an attack is made, and what it is called.

    Attributes:
        title: what the report calls it.
        implementation: "module:Class" within `madvae_tf.attacks`.
        parameters: configuration -> the class's parameters for the test sets.
        draws: whether it draws random numbers.
        follows_gradient: whether it follows the cross-entropy's gradient.
    """

    title: str
    implementation: str
    parameters: Callable[[AttackConfig], Parameters] = lambda attack: {}
    draws: bool = False
    follows_gradient: bool = False


def _one_step(attack: AttackConfig) -> Parameters:
    return {"epsilon": attack.test_epsilon}


def _iterated(attack: AttackConfig) -> Parameters:
    return {**_one_step(attack), "step_size": attack.step_size, "iterations": attack.steps}


def _cw(attack: AttackConfig) -> Parameters:
    return {
        "confidence": attack.test_confidence,
        "max_iterations": attack.cw_test_iterations,
        "binary_search_steps": attack.cw_test_search_steps,
        "learning_rate": attack.cw_learning_rate,
        "initial_const": attack.cw_initial_const,
    }


# Name in settings and results -> its row; the order is that of the report.
ATTACK_SPECS: dict[str, AttackSpec] = {
    "none": AttackSpec("No attack (clean)", "gradient:NoAttack"),
    "fgsm": AttackSpec("FGSM", "gradient:FGSM", _one_step, follows_gradient=True),
    "rand_fgsm": AttackSpec(
        "Rand-FGSM",
        "gradient:RandFGSM",
        lambda attack: {**_one_step(attack), "alpha": attack.alpha},
        draws=True,
        follows_gradient=True,
    ),
    "cw": AttackSpec("CW-L2", "carlini_wagner:CarliniWagner", _cw),
    "mi_fgsm": AttackSpec(
        "MI-FGSM",
        "gradient:MIFGSM",
        lambda attack: {**_iterated(attack), "decay": attack.decay},
        follows_gradient=True,
    ),
    "pgd": AttackSpec("PGD", "gradient:PGD", _iterated, draws=True, follows_gradient=True),
    "single_pixel": AttackSpec(
        "Single Pixel",
        "single_pixel:SinglePixel",
        lambda attack: {"max_pixels": attack.max_pixels, "exhaustive": attack.exhaustive},
        draws=True,
    ),
}
