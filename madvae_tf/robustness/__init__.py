"""What a defence is worth against an attacker who knows it: threat models, suites of attacks, evaluation of any callable.

from madvae_tf.robustness import evaluate
print(evaluate(model, images, labels, threat="linf:0.3", preset="standard").summary())
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from madvae_tf.robustness.evaluation import evaluate
    from madvae_tf.robustness.presets import PRESETS
    from madvae_tf.robustness.result import Evaluation, Outcome
    from madvae_tf.robustness.suites import (
        SUITES,
        Suite,
        Trial,
        auto_attack,
        crossing,
        decision,
        gradient_suite,
        joint,
        natural,
        one_pixel,
        overpowered,
        score,
    )
    from madvae_tf.robustness.systems import System
    from madvae_tf.robustness.threat_models import (
        THREAT_MODELS,
        expectation,
        latent_matching,
        straight_through,
        target_of,
    )
    from madvae_tf.robustness.threats import Threat, threat_of

__all__ = [
    "PRESETS",
    "SUITES",
    "THREAT_MODELS",
    "Evaluation",
    "Outcome",
    "Suite",
    "System",
    "Threat",
    "Trial",
    "auto_attack",
    "crossing",
    "decision",
    "evaluate",
    "expectation",
    "gradient_suite",
    "joint",
    "latent_matching",
    "natural",
    "one_pixel",
    "overpowered",
    "score",
    "straight_through",
    "target_of",
    "threat_of",
]
# Loaded when one of their names is first used: `python -m madvae_tf.robustness --help` needs no TensorFlow.
_HOMES = ("evaluation", "presets", "result", "suites", "systems", "threat_models", "threats")


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
