"""What a defence is worth against an attacker who knows it: threat models, suites of attacks, evaluation of any callable.

from madvae_tf.robustness import evaluate
print(evaluate(model, images, labels, threat="linf:0.3", preset="standard").summary())
"""

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
