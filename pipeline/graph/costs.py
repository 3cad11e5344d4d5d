"""What a stage is likely to cost, in seconds: shown before it starts, kept out of every key; of
`robust` see `madvae_tf.config.costs`.

Rates are those of two quiet cores of a server CPU with bfloat16 instructions, measured once;
another machine differs by a factor, which `speed` takes from what has run there.
"""

from collections.abc import Mapping
from typing import Any

_PURIFIER_IMAGES = 400.0  # training images a second, at batch 32
_CLASSIFIER_IMAGES = 2500.0
_CW_FLOAT32, _CW_BFLOAT16 = 3200.0, 5000.0  # images x iterations a second
_GRADIENT_IMAGES = 4000.0  # images x gradient steps a second
_LABEL_IMAGES = 8000.0  # images x queries a second
_EVALUATED_IMAGES, _PURIFIED_IMAGES = (
    2500.0,
    450.0,
)  # test images a second, of the classifier and behind a VAE
_SUBSTITUTE_IMAGES = {"A": 900.0, "B": 1300.0, "C": 900.0, "D": 20_000.0, "E": 20_000.0}


def attack_seconds(
    attack: str, parameters: Mapping[str, Any], images: int, precision: str
) -> float:
    """Of one adversarial set."""
    if attack == "cw":
        rate = _CW_FLOAT32 if precision == "float32" else _CW_BFLOAT16
        return images * parameters["max_iterations"] * parameters["binary_search_steps"] / rate
    if attack == "single_pixel":
        return (
            images
            * (2 * 784 if parameters["exhaustive"] else 2 * parameters["max_pixels"])
            / _LABEL_IMAGES
        )
    return images * parameters.get("iterations", 1) / _GRADIENT_IMAGES


def purifier_seconds(images: int, epochs: int) -> float:
    """Of training one purifier on `images` pairs."""
    return images * epochs / _PURIFIER_IMAGES


def classifier_seconds(images: int, epochs: int) -> float:
    """Of training the Table 6 classifier."""
    return images * epochs / _CLASSIFIER_IMAGES


def substitute_seconds(architecture: str, images: int, epochs: int) -> float:
    """Of training one of the classifiers of Table 7."""
    return images * epochs / _SUBSTITUTE_IMAGES[architecture]


def gan_seconds(width: int, iterations: int, critic_steps: int) -> float:
    """Of training a Defense-GAN: the cost grows with the square of the width."""
    return iterations * (critic_steps + 1) * 0.15 * (width / 64) ** 2


def evaluation_seconds(images: int, purified: bool) -> float:
    """Of what a defence makes of `images` test images, and the classifier of the clean ones;
    `purified`: by a VAE, in float32.
    """
    return images * (1 / _EVALUATED_IMAGES + (1 / _PURIFIED_IMAGES if purified else 0))


def robustness_seconds(defended: bool, images: int, gradients: float, queries: float) -> float:
    """Of attacking a system when no image falls: gradient steps and queries of every image."""
    slower = 10 if defended else 1
    return images * slower * (gradients / _GRADIENT_IMAGES + queries / _LABEL_IMAGES)


def projection_seconds(parameters: Mapping[str, Any], images: int) -> float:
    """Of purifying by latent projection; 0 with the parameters of a defence that does not project."""  # noqa: E501
    if "restarts" not in parameters:
        return 0.0
    each = parameters["steps"] * parameters["restarts"] * 2.5e-4 * (parameters["width"] / 64) ** 2
    return images * each
