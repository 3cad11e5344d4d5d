"""Oblivious evaluation: predictions on the test sets, and the rows that the report is made of.

Both metrics are measured: accuracy against the labels, and the paper's, agreement of the defended
prediction with the classifier's own prediction on the clean image. Every row carries the attack's
parameters, the threat model, n, the seed and a 95% Wilson interval.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.evaluation.intervals import wilson_interval
from madvae_tf.report.names import CONFUSION_TABLES, POOLED_ATTACK
from madvae_tf.report.paper import paper_value
from madvae_tf.utils.confusions import WHOLE, confusion_matrix, most_confused
from madvae_tf.utils.images import check_images

Row = dict[str, Any]


def batched(
    function: Callable[[tf.Tensor], tf.Tensor], images: np.ndarray, batch_size: int
) -> np.ndarray:
    """`function` over `images` in batches of one size (the last one padded), results end to end.

    Args:
        function: (batch_size, 28, 28, 1) float32 -> a tensor whose first axis is the batch;
            compiled, to be fast.
        images: float (n, height, width, channels) in [0, 1].

    Raises:
        UserError: images of another shape, not finite or out of [0, 1].
    """
    images = check_images(images)
    results = []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        padded = np.concatenate([part, np.repeat(part[:1], batch_size - len(part), axis=0)])
        results.append(np.asarray(function(tf.constant(padded)))[: len(part)])
    return np.concatenate(results)


def rate_row(table: str, metric: str, hits: np.ndarray, common: Mapping[str, Any]) -> Row:
    """One row of a proportion: `hits` bool (n,); `common` holds the fields that it does not set."""
    n, successes = len(hits), int(np.sum(hits))
    low, high = wilson_interval(successes, n)
    paper = paper_value(
        table,
        common["attack"],
        common["defense"],
        metric,
        common["parameters"],
        dataset=common["dataset"],
    )
    value = successes / n
    return {
        **common,
        "table": table,
        "metric": metric,
        "value": value,
        "ci_low": low,
        "ci_high": high,
        "n": n,
        "paper": paper,
    }


def defense_rows(
    table: str,
    predicted: np.ndarray,
    label: np.ndarray,
    clean_predicted: np.ndarray,
    common: Mapping[str, Any],
) -> list[Row]:
    """Accuracy and agreement of one defence on one test set.

    Args:
        table: of `report.schema.TABLES`, such as table1.
        predicted: int64 (n,), the defended prediction on the attacked image.
        label: int64 (n,), the true labels.
        clean_predicted: int64 (n,), the undefended classifier's prediction on the clean image.
        common: dataset, attack, parameters, threat_model, defense, seed.
    """
    rows = [rate_row(table, "accuracy", predicted == label, common)]
    # The undefended classifier agrees with itself on clean images by definition: that figure says
    # nothing.
    if (common["attack"], common["defense"]) != ("none", "none"):
        rows.append(rate_row(table, "agreement", predicted == clean_predicted, common))
    return rows


def detection_rows(
    table: str, refused: np.ndarray, right: np.ndarray, common: Mapping[str, Any]
) -> list[Row]:
    """Of a defence that refuses images: how many it refuses, and on how many it does no harm.

    Args:
        refused: bool (n,), what the detector calls adversarial.
        right: bool (n,), whether the prediction is the label.
        common: as in `defense_rows`. An attacked image is safe where it is refused or right, a
            clean one where it is accepted and right (MagNet, Meng & Chen 2017, section 5).
    """
    safe = right & ~refused if common["attack"] == "none" else right | refused
    return [
        rate_row(table, "detection_rate", refused, common),
        rate_row(table, "safe_rate", safe, common),
    ]


def confusion_rows(
    predicted: np.ndarray, label: np.ndarray, common: Mapping[str, Any], classes: int
) -> list[Row]:
    """The cells of a defence's confusion matrix (Tables 2, 8, 9, 10), true and predicted label in
    parameters; of more than 20 classes the 20 most frequent confusions, with the images of the true
    class as "of" in parameters.

    Args:
        predicted, label: int64 (n,), over the FGSM, Rand-FGSM and CW test sets together.
        common: dataset, threat_model, defense, seed.
        classes: how many there are.
    """
    table = {defense: name for name, defense in CONFUSION_TABLES.items()}.get(common["defense"])
    if table is None:
        return []
    counts = confusion_matrix(predicted, label, classes)
    totals = counts.sum(axis=0)
    cells = [
        ({"true": true, "predicted": guess}, int(counts[guess, true]))
        for true in range(classes)
        for guess in range(classes)
    ]
    if classes > WHOLE:
        cells = [
            ({"true": true, "predicted": guess, "of": int(totals[true])}, count)
            for true, guess, count in most_confused(counts)
        ]
    fixed = {"table": table, "attack": POOLED_ATTACK, "metric": "count"}
    return [
        {
            **common,
            **fixed,
            "parameters": parameters,
            "value": count,
            "ci_low": None,
            "ci_high": None,
            "n": len(label),
            "paper": paper_value(
                *(table, POOLED_ATTACK, common["defense"], "count", parameters),
                dataset=common["dataset"],
            ),
        }
        for parameters, count in cells
    ]


def attack_rows(
    x_adv: np.ndarray,
    clean: np.ndarray,
    predicted: np.ndarray,
    label: np.ndarray,
    common: Mapping[str, Any],
) -> list[Row]:
    """How strong an attack was on the undefended classifier: success rate, and mean distances.

    Args:
        x_adv, clean: float32 (n, height, width, channels).
        predicted, label: int64 (n,); a success is a prediction that differs from the label.
            Distances are means over all n images: those that an attack gave up on, and returned as
            they were, count as 0.
    """
    difference = (x_adv - clean).reshape(len(x_adv), -1)
    sizes = {
        "mean_l2": np.linalg.norm(difference, axis=1),
        "mean_linf": np.abs(difference).max(axis=1),
    }
    rows = [rate_row("attacks", "success_rate", predicted != label, common)]
    for metric, values in sizes.items():
        row = {
            "table": "attacks",
            "metric": metric,
            "value": float(values.mean()),
            "ci_low": None,
            "ci_high": None,
        }
        rows.append({**common, **row, "n": len(label), "paper": None})
    return rows


# An attack that should do at least as well as another one on the undefended classifier.
_STRONGER = {"pgd": "fgsm", "mi_fgsm": "fgsm", "fgsm": "rand_fgsm"}
_CLEAN_DROP = 0.02


def sanity_warnings(rows: Sequence[Row]) -> list[str]:
    """What in the figures points at a bug or at a bad trade: one line each, for the report."""
    accuracy = [row for row in rows if (row["table"], row["metric"]) == ("table1", "accuracy")]
    undefended = {row["attack"]: row for row in accuracy if row["defense"] == "none"}
    warnings = []
    for stronger, weaker in _STRONGER.items():
        strong, weak = undefended.get(stronger), undefended.get(weaker)
        if strong and weak and strong["ci_low"] > weak["ci_high"]:
            warnings.append(
                f"{stronger} leaves the undefended classifier at {strong['value']:.4f}, above"
                f" {weaker}'s {weak['value']:.4f}: a stronger attack that does worse is a bug until"
                " shown otherwise."
            )
    clean = undefended.get("none")
    for row in accuracy:
        if clean and row["attack"] == "none" and row["value"] < clean["value"] - _CLEAN_DROP:
            warnings.append(
                f"{row['defense']} (seed {row['seed']}) costs clean accuracy: {row['value']:.4f}"
                f" against {clean['value']:.4f} without a defence."
            )
    own_clean = {(row["defense"], row["seed"]): row for row in accuracy if row["attack"] == "none"}
    for row in accuracy:
        own = own_clean.get((row["defense"], row["seed"]))
        if own and row["attack"] != "none" and row["ci_low"] > own["ci_high"]:
            # Kurakin et al. 2017: an attack made from the true label writes it into the image.
            warnings.append(
                f"{row['defense']} (seed {row['seed']}) is right on {row['value']:.4f} of the"
                f" {row['attack']} images and on {own['value']:.4f} of the clean ones: it reads the"
                " label that the attack wrote into the perturbation (label leaking), so the higher"
                " figure is no robustness."
            )
    return warnings
