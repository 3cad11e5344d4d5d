"""The functions of the stages: each reads its input artifacts and settings, and writes its own
folder.

The library is imported inside them: TensorFlow is loaded only by a stage that runs.
"""

from pipeline.steps.black_box import attack_substitute, extract_and_attack
from pipeline.steps.clusters import measure_clusters
from pipeline.steps.data import fetch_data, generate_adversarial_set, import_data, prepare_data
from pipeline.steps.detection import measure_detection
from pipeline.steps.evaluate import evaluate_defense
from pipeline.steps.export import export_defense
from pipeline.steps.imported_models import import_classifier, import_purifier
from pipeline.steps.report import write_report
from pipeline.steps.robustness import attack_naturally, attack_system, check_sanity, take_worst
from pipeline.steps.timing import time_defenses
from pipeline.steps.training import train_classifier, train_defense
from pipeline.steps.tune import tune_weights

__all__ = [
    "import_classifier",
    "import_data",
    "import_purifier",
    "attack_naturally",
    "attack_substitute",
    "attack_system",
    "check_sanity",
    "evaluate_defense",
    "export_defense",
    "extract_and_attack",
    "fetch_data",
    "generate_adversarial_set",
    "measure_clusters",
    "measure_detection",
    "prepare_data",
    "take_worst",
    "time_defenses",
    "train_classifier",
    "train_defense",
    "tune_weights",
    "write_report",
]
