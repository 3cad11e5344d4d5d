"""The attack settings of a configuration: which adversarial sets there are, and with which
parameters.

Training: three settings each of FGSM, Rand-FGSM and CW, and clean images. Validation: another
setting, on held-out
images. Test: the paper's settings of every attack, on the test images (section 3).
"""

from dataclasses import dataclass
from typing import Any

from madvae_tf.config import AttackConfig
from madvae_tf.config.attacks import ATTACK_SPECS
from madvae_tf.utils.errors import lookup


@dataclass(frozen=True)
class SetSetting:
    """One adversarial set: `images` of `split` (0 = all), attacked by `attack` with `parameters`."""  # noqa: E501

    split: str
    attack: str
    parameters: dict[str, Any]
    images: int

    @property
    def instance(self) -> str:
        """A name for people and folders, such as train-fgsm-0.25."""
        strength = self.parameters.get("epsilon", self.parameters.get("confidence"))
        parts = [self.split, self.attack] + ([f"{strength:g}"] if strength is not None else [])
        return "-".join(parts)


def _cw_train(attack: AttackConfig, confidence: float) -> dict[str, Any]:
    return {
        "confidence": confidence,
        "max_iterations": attack.cw_train_iterations,
        "binary_search_steps": attack.cw_train_search_steps,
        "learning_rate": attack.cw_train_learning_rate,
        "initial_const": attack.cw_train_initial_const,
    }


def train_settings(attack: AttackConfig) -> list[SetSetting]:
    """The sets that purifiers learn from; a set of clean images comes with them if any are asked
    for.
    """
    settings = []
    for epsilon in attack.train_epsilons:
        settings.append(SetSetting("train", "fgsm", {"epsilon": epsilon}, attack.train_images))
        rand = {"epsilon": epsilon, "alpha": attack.alpha}
        settings.append(SetSetting("train", "rand_fgsm", rand, attack.train_images))
    for confidence in attack.train_confidences:
        settings.append(
            SetSetting("train", "cw", _cw_train(attack, confidence), attack.train_cw_images)
        )
    if attack.train_clean:
        settings.append(SetSetting("train", "none", {}, attack.train_clean_images))
    return settings


def validation_settings(attack: AttackConfig) -> list[SetSetting]:
    """The sets that choices are made on: other parameters than those of training and test."""
    epsilon = attack.validation_epsilon
    return [
        SetSetting("validation", "fgsm", {"epsilon": epsilon}, attack.validation_images),
        SetSetting(
            "validation",
            "rand_fgsm",
            {"epsilon": epsilon, "alpha": attack.alpha},
            attack.validation_images,
        ),
        SetSetting(
            "validation",
            "cw",
            _cw_train(attack, attack.validation_confidence),
            attack.validation_cw_images,
        ),
        SetSetting("validation", "none", {}, attack.validation_images),
    ]


def test_settings(attack: AttackConfig) -> list[SetSetting]:
    """The test sets: `test_clean_images` clean ones, and `test_images` of them under every test
    attack.

    Raises:
        UserError: an unknown attack; the message lists the known ones.
    """
    settings = [SetSetting("test", "none", {}, attack.test_clean_images)]
    for name in attack.test_attacks:
        spec = lookup(ATTACK_SPECS, name, "attack")
        if name != "none":
            settings.append(SetSetting("test", name, spec.parameters(attack), attack.test_images))
    return settings
