"""The names of results.json: rows, and the tables, metrics and names that they may use.

A row is one measured figure with everything a reader needs to judge it: what was attacked, how, who
defended, what the attacker knew (`threat_model`), the 95% interval, n and the seed.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.config.attacks import ATTACK_SPECS
from madvae_tf.config.defenses import BASELINES, VARIANT_TITLES

Row = dict[str, Any]
# A norm of `NORMS` and epsilon.
Budget = tuple[str, float]

SCHEMA_VERSION = 1
FIELDS = (
    "table",
    "dataset",
    "attack",
    "parameters",
    "threat_model",
    "defense",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "seed",
    "paper",
)
# What makes two rows the same measurement.
IDENTITY = ("table", "dataset", "attack", "parameters", "threat_model", "defense", "metric", "seed")
POOLED_ATTACK = "fgsm+rand_fgsm+cw"

# Name in a row -> what the page calls it; the order is the order on the page.
ATTACKS = {
    **{name: spec.title for name, spec in ATTACK_SPECS.items()},
    "pgd_restarts": "PGD, restarts",
    "apgd_ce_restarts": "APGD, cross-entropy",
    "apgd_margin": "APGD, margin",
    "apgd_dlr": "APGD, DLR",
    "bpda_pgd_restarts": "BPDA: PGD, restarts",
    "bpda_apgd_ce_restarts": "BPDA: APGD, cross-entropy",
    "bpda_apgd_margin": "BPDA: APGD, margin",
    "bpda_apgd_dlr": "BPDA: APGD, DLR",
    "bpda_squash_pgd_restarts": "BPDA through the squash: PGD, restarts",
    "bpda_squash_apgd_ce_restarts": "BPDA through the squash: APGD, cross-entropy",
    "bpda_squash_apgd_margin": "BPDA through the squash: APGD, margin",
    "bpda_squash_apgd_dlr": "BPDA through the squash: APGD, DLR",
    "eot_pgd_restarts": "EOT: PGD, restarts",
    "eot_apgd_ce_restarts": "EOT: APGD, cross-entropy",
    "eot_apgd_margin": "EOT: APGD, margin",
    "eot_apgd_dlr": "EOT: APGD, DLR",
    "latent_pgd_restarts": "Latent matching: PGD, restarts",
    "latent_apgd_ce_restarts": "Latent matching: APGD, cross-entropy",
    "latent_apgd_margin": "Latent matching: APGD, margin",
    "latent_apgd_dlr": "Latent matching: APGD, DLR",
    "joint_pgd": "Joint loss: PGD",
    "joint_apgd": "Joint loss: APGD",
    "overpowered": "Overpowered",
    "crossing": "Crossing the squash",
    "evasion": "Evading the detector",
    "spsa": "SPSA (values only)",
    "simba": "SimBA (values only)",
    "hop_skip_jump": "HopSkipJump (labels only)",
    "one_pixel": "One pixel, exhaustive",
    "apgd_ce": "APGD-CE",
    "apgd_t": "then APGD-T",
    "fab_t": "then FAB-T",
    "square": "then Square",
    "autoattack_standard": "AutoAttack standard",
    "autoattack_smaller": "AutoAttack’s sequence, fewer steps",
    "pgd_curve": "PGD",
    "rotation_translation": "Rotation and translation, worst of a grid",
    "corruption": "Common corruption",
    "worst_case": "Worst case over all attacks",
    POOLED_ATTACK: "FGSM + Rand-FGSM + CW-L2",
}
# The paper's own variants.
VARIANTS = ("vanilla", "cls", "pd", "combined")
DEFENSES = {
    "none": "No defence",
    **VARIANT_TITLES,
    **{name: spec.title for name, spec in BASELINES.items()},
}
THREAT_MODELS = {
    "oblivious": "the attacker attacks the classifier and does not know of the purifier",
    "transfer": "the attacker attacks another model and carries the images over",
    "end_to_end": "the attacker knows of the purifier and attacks classifier and purifier together",
}
# A confusion table of the paper -> the variant that it shows.
CONFUSION_TABLES = {"table2": "pd", "table8": "vanilla", "table9": "cls", "table10": "combined"}
# The three protocols of Table 3, and the substitute models of Table 7 that each names in
# parameters["substitute"].
BLACK_BOX_TABLES = ("table3a", "table3b", "table3c")
SUBSTITUTES = ("A", "B", "C", "D", "E")

_RATES = (
    "accuracy",
    "agreement",
    "success_rate",
    "substitute_agreement",
    "detection_rate",
    "safe_rate",
)
_RATES += (
    "restart_share",
    "zero_gradient_share",
    "faint_gradient_share",
    "other_sign_share",
    "beyond_gradients_share",
    "tpr",
    "auc",
)
# Metric -> the least and the greatest value that it can have. The metrics that a table must
# explain:
# substitute_agreement: the share of images on which the substitute predicts what the attacked model
# predicts.
# success_rate of table3c: the share of images on which the attack fools the substitute that it was
# made on.
# detection_rate: the share of images that the defence refuses.
# safe_rate: on attacked images, refused or classified right; on clean images, accepted and
# classified right.
# restart_share: of an attack's successes, the share that its first run did not have.
# zero_gradient_share: the share of clean images at which the loss's gradient is exactly 0.
# faint_gradient_share: the mean share of a clean image's pixels at which it is below 1e-4 of its
# largest.
# other_sign_share: the mean share of its pixels at which the gradient around a squash has another
# sign.
# beyond_gradients_share: of an attack without gradients the share of its images that it fools and
# no attack with one does.
# auc: the chance that an attacked image gets a higher score than a clean one; equal scores count
# half.
# tpr: the share of attacked images above the threshold that at most the share parameters["fpr"] of
# the clean ones is above.
# ms_per_image: wall time of the whole system, defence and classifier, in milliseconds for one
# image.
RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(_RATES, (0.0, 1.0)),
    **dict.fromkeys(("mean_l2", "mean_linf", "count", "ms_per_image"), (0.0, math.inf)),
    "silhouette": (-1.0, 1.0),
    "knn_purity": (0.0, 1.0),
}
_KEPT = ("accuracy", "agreement")
# Table -> the metrics that it may hold.
TABLES: dict[str, tuple[str, ...]] = {
    "table1": _KEPT,
    **dict.fromkeys(CONFUSION_TABLES, ("count",)),
    "table3a": _KEPT,
    "table3b": _KEPT,
    "table3c": (*_KEPT, "substitute_agreement", "success_rate"),
    "table4": _KEPT,
    "baselines": (*_KEPT, "detection_rate", "safe_rate"),
    "clusters": ("silhouette", "knn_purity"),
    "reference": _KEPT,
    "robustness": (
        "accuracy",
        "restart_share",
        "zero_gradient_share",
        "faint_gradient_share",
        "other_sign_share",
        "beyond_gradients_share",
    ),
    "natural": ("accuracy",),
    "detection": ("auc", "tpr"),
    "time": ("ms_per_image",),
    "validation": ("accuracy", "agreement", "success_rate", "mean_l2", "mean_linf"),
    "attacks": ("success_rate", "mean_l2", "mean_linf"),
}
# The norms of table "robustness", whose rows say norm and epsilon.
NORMS = {"linf": "L∞", "l2": "L2", "l0": "L0"}
# Those of table "detection", and the images that a row is about.
DETECTORS = {
    "l1": "‖x − purify(x)‖₁",
    "l2": "‖x − purify(x)‖₂",
    "latent": "distance of the code from the nearest class’s mean",
}
AMONG = ("all", "fooling")
# What the rows of table "clusters" say of themselves, key -> its values.
CLUSTER_PARAMETERS = {
    "of": ("test", "adversarial", "output", "latent"),
    "labels": ("label", "predicted"),
    "space": ("features", "umap"),
}


def classifier_title(run: Mapping[str, Any]) -> str:
    """What a run's classifier is called: Table 6's, or the user's own with its path."""
    own = ((run.get("config") or {}).get("classifier") or {}).get("path")
    return f"the classifier {own}" if own else "the Table 6 classifier"


def class_names(run: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """What the first `classes` classes of a run's data are called: their numbers where the run has
    no names.
    """
    named = tuple(map(str, run.get("classes") or ()))[:classes]
    return named + tuple(map(str, range(len(named), classes)))


def class_word(names: Sequence[str]) -> str:
    """What one of the classes is: of ten that are called by their numbers, a digit."""
    return "digit" if list(names) == list("0123456789") else "class"


# The parameters of an attack that say how far it may go.
_BUDGET = ("norm", "epsilon", "confidence", "pixels", "max_pixels")


def attack_title(name: Any) -> str:
    """What the page calls an attack."""
    return ATTACKS.get(name, str(name))


def budget_of(row: Row) -> Budget:
    """Norm and epsilon, of a row that has both."""
    return row["parameters"]["norm"], row["parameters"]["epsilon"]


def budget_title(row: Row) -> str:
    """Like "L∞ 0.3", of a row with a budget."""
    return f"{NORMS[row['parameters']['norm']]} {row['parameters']['epsilon']:g}"


def parameters_text(values: Mapping[str, Any] | None) -> str:
    """Like "epsilon 0.3, steps 40", names in words."""
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in (values or {}).items())


def split_parameters(values: Mapping[str, Any] | None) -> tuple[tuple[str, ...], str]:
    """What sets an attack up in words: its budget, for all to see, and the rest."""
    given = values or {}
    budget = {name: value for name, value in given.items() if name in _BUDGET}
    rest = {name: value for name, value in given.items() if name not in _BUDGET}
    return tuple(filter(None, [parameters_text(budget)])), parameters_text(rest)


def restart_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that tell what restarts brought.

    Published results count target classes as restarts of some attacks; those rows have one restart
    and are left out.
    """
    return [
        row
        for row in rows
        if row["metric"] == "restart_share" and row["parameters"].get("restarts", 1) > 1
    ]
