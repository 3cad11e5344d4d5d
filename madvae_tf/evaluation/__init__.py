"""What a defence is worth against an attacker who knows it: threat models, suites of attacks,
evaluation of any callable.

from madvae_tf.evaluation import evaluate
print(evaluate(model, images, labels, threat="linf:0.3", preset="standard").summary())
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from madvae_tf.evaluation.benchmarking import Benchmark, benchmark
    from madvae_tf.evaluation.presets import PRESETS
    from madvae_tf.evaluation.result import Evaluation, Outcome
    from madvae_tf.evaluation.suites import (
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
    from madvae_tf.evaluation.systems import System
    from madvae_tf.evaluation.threat_models import (
        THREAT_MODELS,
        expectation,
        latent_matching,
        straight_through,
        target_of,
    )
    from madvae_tf.evaluation.threats import Threat, threat_of
    from madvae_tf.evaluation.worst_case import evaluate

__all__ = [
    "PRESETS",
    "SUITES",
    "THREAT_MODELS",
    "Benchmark",
    "Evaluation",
    "Outcome",
    "Suite",
    "System",
    "Threat",
    "Trial",
    "auto_attack",
    "benchmark",
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
# Loaded when one of their names is first used: `python -m madvae_tf.evaluation --help` needs no
# TensorFlow.
_HOMES = (
    "benchmarking",
    "presets",
    "result",
    "suites",
    "systems",
    "threat_models",
    "threats",
    "worst_case",
)


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
