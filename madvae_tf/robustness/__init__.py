"""What a defence is worth against an attacker who knows it: threat models, suites of attacks, evaluation of any callable.

from madvae_tf.robustness import auto_attack, evaluate
print(evaluate(logits_fn, images, labels, suites=[auto_attack("linf", 0.3)]).summary())
"""

from madvae_tf.robustness.evaluation import Evaluation, evaluate
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
from madvae_tf.robustness.threat_models import (
    THREAT_MODELS,
    expectation,
    latent_matching,
    straight_through,
    target_of,
)

__all__ = [
    "SUITES",
    "THREAT_MODELS",
    "Evaluation",
    "Suite",
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
]
