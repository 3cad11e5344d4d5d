"""From a stage's settings to the suite of attacks that it runs."""

from typing import Any

# Suites of the same attacks by what they climb.
_GRADIENTS = {
    "gradient": "exact",
    "bpda": "identity",
    "bpda_squash": "straight_through",
    "eot": "expectation",
    "latent": "latent",
}


def suite_of(settings: dict[str, Any]) -> Any:
    """The `Suite` of a stage with these settings."""
    from madvae_tf.evaluation import SUITES, auto_attack, gradient_suite, joint, one_pixel

    if settings["suite"] == "one_pixel":
        return one_pixel()
    ball = ball_of(settings)
    if settings["suite"] in ("decision", "score"):
        return SUITES[settings["suite"]](**ball, queries=settings["queries"])
    if settings["suite"] == "joint":
        return joint(
            **ball, **{name: settings[name] for name in ("iterations", "restarts", "weights")}
        )
    if settings["suite"] == "autoattack":
        numbers = {name: settings[name] for name in ("iterations", "targets", "queries")}
        return auto_attack(**ball, **numbers)
    numbers = {name: settings[name] for name in ("iterations", "restarts")}
    if settings["suite"] in ("overpowered", "crossing"):
        return SUITES[settings["suite"]](settings["epsilon"], **numbers)
    return gradient_suite(**ball, **numbers, gradient=_GRADIENTS[settings["suite"]])


def ball_of(settings: dict[str, Any]) -> dict[str, Any]:
    """Norm and epsilon."""
    return {name: settings[name] for name in ("norm", "epsilon")}
