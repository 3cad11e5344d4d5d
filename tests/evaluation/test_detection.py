"""Scores, ROC, AUC and thresholds of detectors, against their definitions by brute force."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.attacks import DefendedModel
from madvae_tf.evaluation.detection import auc, detection_rows, detectors, flagged, roc, scores
from madvae_tf.report import validate_rows


@pytest.fixture(params=[0, 1, 2])
def both(request):
    """Scores with many ties; in the last case without any."""
    generator = np.random.default_rng(request.param)
    clean, attacked = generator.normal(0, 1, 37), generator.normal(0.7, 1.5, 23)
    return (clean, attacked) if request.param == 2 else (clean.round(), attacked.round())


def test_auc_is_the_share_of_pairs_ranked_right(both):
    clean, attacked = both
    pairs = [(a > c) + (a == c) / 2 for a in attacked for c in clean]
    assert auc(clean, attacked) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert auc(attacked, clean) == pytest.approx(1 - np.mean(pairs), abs=1e-12)
    # The trapezoids under the curve are the same number.
    false, true = roc(clean, attacked)
    assert np.trapezoid(true, false) == pytest.approx(np.mean(pairs), abs=1e-12)


def test_the_roc_holds_every_threshold(both):
    clean, attacked = both
    expected = {(np.mean(clean >= t), np.mean(attacked >= t)) for t in [*clean, *attacked, np.inf]}
    assert {(round(f, 9), round(t, 9)) for f, t in zip(*roc(clean, attacked), strict=True)} == {
        (round(f, 9), round(t, 9)) for f, t in expected
    }


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.1, 0.5, 1.0])
def test_no_better_threshold_keeps_the_share_of_false_alarms(both, share):
    clean, attacked = both
    found = flagged(clean, attacked, share).mean()
    thresholds = [-np.inf, *clean, *attacked]
    allowed = [t for t in thresholds if np.mean(clean > t) <= share + 1e-12]
    # Thresholds at clean scores and -inf are all that tell the clean images apart.
    best = max(np.mean(attacked > t) for t in allowed if t in clean or t == -np.inf)
    assert found == pytest.approx(best, abs=1e-12)


def test_the_scores_by_hand():
    images = np.random.default_rng(0).random((5, 28, 28, 1)).astype(np.float32)
    centers = np.random.default_rng(1).normal(size=(10, 3)).astype(np.float32)
    encode = lambda x: tf.reshape(x, (-1, 784))[:, :3]  # noqa: E731
    system = DefendedModel(lambda x: x, purify=lambda x: 0.25 * x, encode=encode)
    found = scores(detectors(system, tf.constant(centers)), images, batch_size=2)
    flat = images.reshape(5, -1)
    np.testing.assert_allclose(found["l1"], 0.75 * flat.sum(1), rtol=1e-5)
    np.testing.assert_allclose(found["l2"], 0.75 * np.linalg.norm(flat, axis=1), rtol=1e-5)
    nearest = [min(np.linalg.norm(code - center) for center in centers) for code in flat[:, :3]]
    np.testing.assert_allclose(found["latent"], nearest, rtol=1e-5)
    assert set(detectors(DefendedModel(lambda x: x, purify=lambda x: x), None)) == {"l1", "l2"}


def test_rows_of_all_and_of_the_fooling_images():
    clean, attacked = {"l2": np.arange(100.0)}, {"l2": np.array([-1.0, 94.5, 99.5, 200.0])}
    common = {
        "dataset": "mnist",
        "attack": "fgsm",
        "parameters": {"epsilon": 0.3},
        "threat_model": "oblivious",
        "defense": "pd",
        "seed": 0,
    }
    rows = detection_rows(clean, attacked, np.array([True, False, False, True]), common)
    validate_rows(rows)
    found = {
        (row["parameters"]["among"], row["metric"], row["parameters"].get("fpr")): row
        for row in rows
    }
    assert found["all", "auc", None]["value"] == pytest.approx((0 + 0.95 + 1 + 1) / 4)
    assert found["fooling", "auc", None]["value"] == 0.5 and found["fooling", "auc", None]["n"] == 2
    # Five of a hundred may be above: the threshold is 94.
    assert found["all", "tpr", 0.05]["value"] == 0.75 and found["all", "tpr", 0.01]["value"] == 0.5
    assert found["fooling", "tpr", 0.05]["value"] == 0.5
    nobody = detection_rows(clean, attacked, np.zeros(4, bool), common)
    assert {row["parameters"]["among"] for row in nobody} == {"all"}
