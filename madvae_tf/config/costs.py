"""What training a purifier is likely to take, in seconds on two quiet cores of a server CPU with
bfloat16 instructions, on images of 28 x 28 pixels.

Rates were measured once; another machine differs by a factor, the ratios hardly: in float32 it is
about twice as long.
"""

from collections.abc import Mapping
from typing import Any

_IMAGES = 240.0  # a second, of Table 5 against one attack step end to end, at batch 64
# Fifths of that: what an image costs beside the attack, and each step of the attack.
_END_TO_END, _ENCODER, _DECODER = (3.0, 2.0), (0.65, 0.4), (1.5, 0.4)


def purifier_seconds(pairs: int) -> float:
    """Of training one of the paper's purifiers on so many pairs of its images, each as often as it
    is seen.
    """
    return pairs * _END_TO_END[0] / 5 / _IMAGES


def robust_seconds(parameters: Mapping[str, Any], images: int) -> float:
    """Of training the variant `robust`.

    Args:
        parameters: the fields of `RobustConfig`; those that came later may be missing.
        images: of the training set.
    """
    steps = parameters["epoch_steps"] or images // parameters["batch_size"]
    each = steps * parameters["batch_size"]
    late = 1 - parameters["late_from"]
    attack = (1 - late) * parameters["attack_steps"] + late * parameters["late_attack_steps"]
    encoder_epochs = parameters.get("encoder_epochs", 0)
    learning, attacking = _DECODER if encoder_epochs else _END_TO_END
    again = 2 if parameters["consistency"] else 1
    training = parameters["epochs"] * (learning * again + attacking * attack)
    training += encoder_epochs * (_ENCODER[0] + _ENCODER[1] * attack)
    attacked = 2 * parameters["validation_images"] * parameters["validation_steps"]
    validation = (parameters["epochs"] + 1) * attacked + encoder_epochs * attacked * _ENCODER[1] / 2
    return (each * training + validation) / 5 / _IMAGES
