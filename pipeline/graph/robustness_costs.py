"""What the stages that attack whole systems are likely to cost, in seconds; see `costs`."""

from typing import Any

from madvae_tf.config import Config
from pipeline.graph.costs import projection_seconds, robustness_seconds

NONE = "none"
# The gradient through a latent projection takes some one and a half times as long as the
# projection: it goes through one start's search of all.
_PROJECTION_GRADIENT = 1.5
# A grid of 775 places and some dozens of corruptions; three fifths of MNIST's pixels changed to
# black or white.
_NATURAL_QUERIES, _ONE_PIXEL_QUERIES = 830, 940
_SANITY_STEPS, _SQUASH_STEPS = 6 * 40 + 186, 100
# Images fall early, so that a suite takes this share of the time that it would take if none did; a
# defence that holds takes nearly all of it.
_LEFT = {"robust": 0.9}
_LEFT_ELSEWHERE = 0.2
# The first attack of the sequence leaves nothing; the overpowered one searches on for long.
_LEFT_OF_A_SUITE = {"autoattack": 0.01, "overpowered": 0.5}


def natural_seconds(name: str, images: int) -> float:
    """Of rotations, translations and corruptions of `images` images."""
    return robustness_seconds(name != NONE, images, 0, _NATURAL_QUERIES)


def sanity_seconds(name: str, images: int, squashed: bool) -> float:
    """Of curves and gradients; `squashed`: of PGD around a squash, too."""
    steps = _SANITY_STEPS + (_SQUASH_STEPS if squashed else 0)
    return robustness_seconds(name != NONE, images, steps, 0)


def detection_seconds(config: Config, name: str) -> float:
    """Of evading three detectors, with the images that fell."""
    own = config.robustness
    fallen = 1 - _LEFT.get(name, _LEFT_ELSEWHERE)
    gradients = own.iterations * (1 + fallen * 2 * 3 * len(own.evasion_weights))
    return robustness_seconds(True, own.detection_images, gradients, 0)


def suite_seconds(config: Config, settings: dict[str, Any]) -> float:
    """Of one suite, with the settings of its stage."""
    own = config.robustness
    name, suite = settings["defense"], settings["suite"]
    defended = name != NONE and settings["threat_model"] != "oblivious"
    images = min(settings.get("subset", settings["images"]), settings["images"])
    if suite in ("decision", "score", "one_pixel"):
        queries = settings.get("queries", _ONE_PIXEL_QUERIES)
        return robustness_seconds(defended, images, 0, queries)
    if suite == "autoattack":
        # FAB looks once more at each step.
        gradients, queries = own.iterations * (1 + 2.5 * own.targets), own.queries
    elif suite == "overpowered":
        # Five looks at each step.
        gradients, queries = own.overpowered_iterations * own.overpowered_restarts * 5, 0
    else:
        attacks = {"joint": 1 + len(own.joint_weights), "crossing": 1}.get(suite, 4)
        gradients = own.iterations * attacks * own.restarts * (own.draws if suite == "eot" else 1)
        queries = 0
    left = _LEFT.get(name, _LEFT_OF_A_SUITE.get(suite, _LEFT_ELSEWHERE))
    if settings["threat_model"] != "end_to_end":
        left = 1.0  # What fools the attacked model need not fool the system: no attack ends early.
    once = projection_seconds(settings["parameters"], images)
    # The overpowered attack searches with the generator itself.
    if once and defended and suite != "overpowered":
        # A batch goes on until its last image has fallen; of a sequence, what follows meets only
        # what is left.
        steps = _PROJECTION_GRADIENT * gradients + queries
        return once * steps * (left if suite == "autoattack" else 1)
    return robustness_seconds(defended, images, gradients, queries) * left
