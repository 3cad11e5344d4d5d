"""The functions of the stages: each reads its input artifacts and settings, and writes its own folder.

The library is imported inside them: TensorFlow is loaded only by a stage that runs.
"""

from pipeline.steps.data import generate_adversarial_set, prepare_data
from pipeline.steps.outcome import evaluate_defense, export_defense, write_report
from pipeline.steps.training import train_classifier, train_purifier

__all__ = [
    "evaluate_defense",
    "export_defense",
    "generate_adversarial_set",
    "prepare_data",
    "train_classifier",
    "train_purifier",
    "write_report",
]
