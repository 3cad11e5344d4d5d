"""What a purifier's training sees of its pairs, and when."""

import dataclasses

import keras
import numpy as np
import pytest

from madvae_tf.data.batches import IdentityPairs, epoch_order
from madvae_tf.data.prepare import Split
from madvae_tf.training import scaffold
from madvae_tf.training.classifier import build_classifier
from madvae_tf.training.purifier import PurifierSettings, fit_purifier

SETTINGS = PurifierSettings(
    title="",
    weights={"reconstruction": 1.0},
    latent_size=4,
    epochs=3,
    batch_size=8,
    learning_rate=1e-3,
    final_learning_rate=1e-5,
    clip_norm=1.0,
    precision="float32",
    checkpoint_steps=2,
    image_steps=100,
    seed=6,
)


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Settings -> the labels of every batch from step 1 on, the steps of an epoch, the epochs, the
    last learning rate.
    """
    pairs = IdentityPairs(Split(np.zeros((35, 28, 28, 1), np.uint8), np.arange(35)))
    found = {}

    def train(trainer, batches, steps, epochs, *rest):
        found["labels"] = [batch["label"].numpy().tolist() for batch in batches(1)]
        found["lengths"] = (steps, epochs)
        found["rate"] = float(
            keras.ops.convert_to_numpy(trainer.optimizer._learning_rate(steps * epochs))
        )
        raise StopIteration

    def ask(**changes):
        monkeypatch.setattr(scaffold, "train", train)
        classifier = build_classifier("table6", 0.0, "float32")
        with pytest.raises(StopIteration):
            fit_purifier(
                dataclasses.replace(SETTINGS, **changes),
                *(pairs, pairs, classifier, "table6", None, tmp_path, tmp_path),
            )
        return found

    return ask


def batches(first, last):
    """Labels of steps first..last-1: an epoch is four batches of eight of the 35."""
    return [
        epoch_order(35, 6, step // 4)[step % 4 * 8 : step % 4 * 8 + 8].tolist()
        for step in range(first, last)
    ]


def test_epochs_go_on_where_the_warm_up_ended(asked):
    found = asked(first_epoch=2)
    assert found["lengths"] == (4, 3) and found["labels"] == batches(9, 20)


def test_short_epochs_see_one_pair_after_the_other(asked):
    """Three epochs of two steps are an epoch and a half of the pairs, and the learning rate ends
    with them.
    """
    found = asked(first_epoch=2, epoch_steps=2)
    assert found["lengths"] == (2, 3) and found["labels"] == batches(9, 14)
    assert found["rate"] == pytest.approx(1e-5)
