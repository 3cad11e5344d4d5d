"""Exports of a linear classifier and of a small purifier."""

import keras
import numpy as np
import pytest

from madvae_tf.export.saved_model import export_classifier, export_purifier
from madvae_tf.models.vae import DefenseVAE
from tests.playground.linear import WEIGHTS


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """(workdir with exports, classifier, purifier)."""
    folder = tmp_path_factory.mktemp("world")
    classifier = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    classifier.set_weights([WEIGHTS, np.zeros(10, np.float32)])
    keras.utils.set_random_seed(0)
    purifier = DefenseVAE(4)
    purifier.set_weights(
        [3 * weight if weight.ndim > 1 else weight for weight in purifier.get_weights()]
    )
    export_classifier(folder / "export" / "classifier", classifier)
    export_purifier(folder / "export" / "combined", purifier, classifier)
    return folder, classifier, purifier
