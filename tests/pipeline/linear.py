"""A linear classifier and systems before it whose robustness is known image by image, and how a
stage function is run on them.
"""

import json

import numpy as np
import tensorflow as tf

from madvae_tf.data.prepare import Split
from madvae_tf.models.defended_model import DefendedModel, purified
from madvae_tf.models.straight_through import with_identity_gradient
from madvae_tf.report import validate_rows
from pipeline.engine.plan import Context
from pipeline.steps import robustness

# Class 0 above a mean of 0.5: an image falls to an L-infinity budget above its distance from that,
# 0.078, 0.18, ...
BYTES = np.array([147, 173, 199, 225], np.uint8)
SPLIT = Split(
    np.broadcast_to(BYTES[:, None, None, None], (4, 28, 28, 1)).copy(), np.zeros(4, np.int64)
)


def classifier(images, training=False):
    gap = 10 * (tf.reduce_mean(images, [1, 2, 3]) - 0.5)
    return tf.concat(
        [gap[:, None], -gap[:, None], tf.fill([tf.shape(images)[0], 8], -50.0) + tf.range(8.0)], 1
    )


def shrink(images):
    return 0.5 * images + 0.3  # the boundary moves from a mean of 0.5 to one of 0.4


def encode(images):
    return tf.reduce_mean(images, [1, 2, 3])[:, None]


def decode(z):
    return tf.tile(tf.clip_by_value(z, 0.0, 1.0)[:, :, None, None], [1, 28, 28, 1])


def steps_of(images):
    return tf.round(images * 255) / 255


def straight(images):
    return classifier(with_identity_gradient(images, steps_of(images)))


SYSTEMS = {
    "none": DefendedModel(classifier),
    "shrink": purified(classifier, shrink),
    "steps": purified(classifier, steps_of, straight_through=straight),
}
# A code of one number, the mean; what is decoded is grey.
SYSTEMS["code"] = purified(
    classifier,
    lambda images: decode(encode(images)),
    encode=lambda images: encode(images),
    decode=lambda z: decode(z),
    sample=lambda images, seeds: encode(images) + 0.0 * tf.cast(seeds[:, :1], tf.float32),
)
NUMBERS = {"iterations": 10, "targets": 1, "queries": 20, "restarts": 1}


def runner(monkeypatch, tmp_path):
    """What runs a stage function on these systems, and returns its folder's rows, warnings, the
    folder and its settings.
    """
    monkeypatch.setattr(robustness, "splits_of", lambda context: {"test": SPLIT})
    monkeypatch.setattr(robustness, "load_classifier", lambda folder: classifier)
    monkeypatch.setattr(
        robustness,
        "defended",
        lambda context, model: SYSTEMS[
            context.inputs["defense"].name if "defense" in context.inputs else "none"
        ],
    )

    def run(function, name, inputs, **config):
        folder = tmp_path / name
        (folder / ".scratch").mkdir(parents=True)
        (folder / "left.over").touch()
        common = {
            "dataset": "mnist",
            "seed": 0,
            "images": 0,
            "batch_size": 4,
            "norm": "linf",
            "epsilon": 0.15,
        }
        config = {**common, **NUMBERS, "parameters": {}, **config}
        function(Context(folder, folder / ".scratch", {"classifier": tmp_path, **inputs}, config))
        assert not (folder / "left.over").exists()
        rows = json.loads((folder / "rows.json").read_text())
        validate_rows(rows)
        return rows, json.loads((folder / "warnings.json").read_text()), folder, config

    return run
