"""Detection: do scores of what a purifier does to an image tell attacked images from clean ones?

    l1, l2    ||x - purify(x)||_1, ||x - purify(x)||_2
              Meng & Chen 2017, MagNet's detectors
    latent    min_c ||encode(x) - centre_c||_2
              centre_c: the mean code of a class's held-out images

An image is flagged where its score is above a threshold. Against an attacker who knows of the
detector such figures fall; they are measured on images made that way, too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.objectives import distance
from madvae_tf.evaluation.oblivious import Row, batched, rate_row

TABLE = "detection"
_TINY = 1e-12  # so that an attack's gradient is finite at a score of 0
# Shares of flagged clean images at which the ROC is read off for the rows; the one that is quoted
# is 0.05.
FALSE_POSITIVES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)


def detectors(
    system: DefendedModel, centers: tf.Tensor | None
) -> dict[str, Callable[[tf.Tensor], tf.Tensor]]:
    """Name -> images (batch, height, width, channels) to scores, float32 (batch,), compiled; what
    the system has no part for is left out.

    Args:
        centers: float32 (classes, latent), or None.
    """
    found: dict[str, Callable[[tf.Tensor], tf.Tensor]] = {}
    purify, encode = system.purify, system.encode
    if purify is not None:
        found["l1"] = lambda x: tf.reduce_sum(tf.abs(x - purify(x)), axis=[1, 2, 3])
        found["l2"] = lambda x: distance(purify(x), x)
    if encode is not None and centers is not None:
        found["latent"] = lambda x: tf.sqrt(
            tf.reduce_min(
                tf.reduce_sum(tf.square(encode(x)[:, None] - centers[None]), axis=2), axis=1
            )
            + _TINY
        )
    return {name: tf.function(function) for name, function in found.items()}


def scores(
    functions: Mapping[str, Callable[[tf.Tensor], tf.Tensor]], images: np.ndarray, batch_size: int
) -> dict[str, np.ndarray]:
    """The scores of all images by each detector, float32 (n,)."""
    return {name: batched(each, images, batch_size) for name, each in functions.items()}


def roc(clean: np.ndarray, attacked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The shares of clean and of attacked images flagged at every threshold, falling thresholds;
    from (0, 0) to (1, 1).
    """
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(*_labelled(clean, attacked), drop_intermediate=False)
    return false, true


def auc(clean: np.ndarray, attacked: np.ndarray) -> float:
    """The chance that an attacked image's score is above a clean one's, equal scores half: the area
    under `roc`.
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(*_labelled(clean, attacked)))


def _labelled(clean: np.ndarray, attacked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which scores are of attacked images, and the scores."""
    labels = np.repeat([0, 1], [len(clean), len(attacked)])
    return labels, np.concatenate([clean, attacked])


def flagged(clean: np.ndarray, attacked: np.ndarray, false_positives: float) -> np.ndarray:
    """Which attacked images are above the least threshold that at most this share of the clean ones
    is above, bool (n,).
    """
    allowed = int(np.floor(false_positives * len(clean) + 1e-9))
    threshold = (
        np.sort(clean)[::-1][min(allowed, len(clean) - 1)] if allowed < len(clean) else -np.inf
    )
    return attacked > threshold


def detection_rows(
    clean: Mapping[str, np.ndarray],
    attacked: Mapping[str, np.ndarray],
    fooling: np.ndarray,
    common: Mapping[str, Any],
) -> list[Row]:
    """AUC and points of the ROC of every detector, for all attacked images and for those that
    fooled what they were made on.

    Args:
        clean, attacked: detector -> scores.
        fooling: bool (n,), which of the attacked did.
        common: dataset, attack, parameters, threat_model, defense, seed.
    """
    rows: list[Row] = []
    groups: Sequence[tuple[str, np.ndarray]] = (
        ("all", np.ones(len(fooling), bool)),
        ("fooling", fooling),
    )
    for detector, values in attacked.items():
        for among, chosen in groups:
            if not chosen.any():
                continue
            parameters = {**common["parameters"], "detector": detector, "among": among}
            own = {"clean": len(clean[detector])}
            named = {**common, "parameters": {**parameters, **own}}
            rows.append(
                {
                    **named,
                    "table": TABLE,
                    "metric": "auc",
                    "value": auc(clean[detector], values[chosen]),
                    "ci_low": None,
                    "ci_high": None,
                    "n": int(chosen.sum()),
                    "paper": None,
                }
            )
            for share in FALSE_POSITIVES:
                hits = flagged(clean[detector], values[chosen], share)
                named = {**common, "parameters": {**parameters, **own, "fpr": share}}
                rows.append(rate_row(TABLE, "tpr", hits, named))
    return rows
