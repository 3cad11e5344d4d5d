"""The stage that measures detectors, on systems whose every score is known."""

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.data.prepare import Split
from pipeline.engine.plan import Context
from pipeline.steps import robustness
from tests.pipeline.linear import SPLIT, SYSTEMS, classifier, runner


@pytest.fixture
def run(monkeypatch, tmp_path):
    return runner(monkeypatch, tmp_path)


def test_detection_measures_oblivious_and_adaptive_images(run, tmp_path, monkeypatch):
    """A system that brightens by 0.1: every image is 0.1 x 784 from what is made of it, and so is
    any other that is not clipped.
    """
    from madvae_tf.data.adversarial_sets import AdversarialSet
    from pipeline.steps import detection

    grey = np.linspace(200, 20, 10).astype(np.uint8)
    validation = Split(
        np.broadcast_to(grey[:, None, None, None], (10, 28, 28, 1)).copy(), np.arange(10)
    )
    for module in (robustness, detection):
        monkeypatch.setattr(
            module, "splits_of", lambda context: {"test": SPLIT, "validation": validation}
        )
    monkeypatch.setattr(detection, "load_classifier", lambda folder: classifier)
    monkeypatch.setattr(detection, "defended", robustness.defended)
    index = np.arange(4)
    made = (SPLIT.images / 255).astype(np.float32) + np.float32(0.1) * (-1.0) ** np.indices(
        (1, 28, 28, 1)
    ).sum(0)

    class Made:
        metadata = {"parameters": {"epsilon": 0.1}}
        labels = np.zeros(4, np.int64)
        __len__ = lambda self: 4  # noqa: E731

        def gather(self, rows):
            return (
                np.clip(made, 0, 1).astype(np.float32)[rows],
                index[rows],
            )

    monkeypatch.setattr(AdversarialSet, "open", lambda folder: Made())
    inputs = {"defense": tmp_path / "code", "set:fgsm": tmp_path, "set:none": tmp_path}
    more = {"iterations": 5, "weights": [1.0], "images": 0}
    rows, warnings, folder, _ = run(
        detection.measure_detection, "detection", inputs, defense="vanilla", **more
    )
    auc = {
        (row["attack"], row["threat_model"], row["parameters"]["detector"]): row["value"]
        for row in rows
        if row["metric"] == "auc" and row["parameters"]["among"] == "all"
    }
    # The system makes an image grey: a grey one is 0 from what is made of it, the chessboard that
    # was laid on it 0.1 a pixel.
    assert auc["fgsm", "oblivious", "l1"] == auc["fgsm", "oblivious", "l2"] == 1.0
    assert {key[:2] for key in auc} == {
        ("fgsm", "oblivious"),
        ("apgd_ce_restarts", "end_to_end"),
        ("evasion", "end_to_end"),
    }
    assert len(auc) == 3 * 3 and warnings == []
    with np.load(folder / "roc.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["fgsm/l1"][:, [0, -1]], [[0, 1], [0, 1]])
    kept = sorted(path.name for path in (folder / ".scratch" / "adaptive").iterdir())
    evasions = [f"evasion-{name}@1-00000.npy" for name in ("l1", "l2", "latent")]
    assert kept == ["apgd_ce_restarts-00000.npy", *evasions]


def test_evasion_keeps_what_fools_with_the_lowest_score(tmp_path, monkeypatch):
    """A detector of dark images. Who does not know of it goes to the budget's end; the brightest
    image that fools is a hair below 0.5 in the mean.
    """
    from pipeline.steps import detection

    monkeypatch.setattr(robustness, "splits_of", lambda context: {"test": SPLIT})
    (tmp_path / "scratch").mkdir()
    config = {
        "images": 0,
        "seed": 0,
        "batch_size": 4,
        "norm": "linf",
        "epsilon": 0.15,
        "iterations": 20,
    }
    context = Context(tmp_path, tmp_path / "scratch", {}, {**config, "weights": [1e-3, 1.0, 1e4]})
    dark = tf.function(lambda x: 1 - tf.reduce_mean(x, [1, 2, 3]))
    system = SYSTEMS["code"]
    plain, evading = detection._adaptive(
        context, system, tf.function(system.logits), {"dark": dark}
    )
    assert (plain[0], plain[3], evading[0], evading[3]) == (
        "apgd_ce_restarts",
        ("dark",),
        "evasion",
        ("dark",),
    )
    for _, _, _, _, clean, x_adv, labels in (plain, evading):
        assert np.abs(x_adv - clean).max() <= 0.15 + 1e-6 and not labels.any()
        assert (classifier(x_adv).numpy().argmax(1) != 0).tolist() == [True, False, False, False]
    means = [each[5][0].mean() for each in (plain, evading)]
    assert means[0] < 0.45 and 0.49 < means[1] < 0.5
    np.testing.assert_array_equal(plain[5][1:], evading[5][1:])
