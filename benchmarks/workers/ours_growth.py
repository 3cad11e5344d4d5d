"""Generation, training and evaluation of a given number of images, by the library functions that
the pipeline calls.
"""

import functools
import resource
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.material import weights_in
from benchmarks.workers.ours_training import make_trainer
from madvae_tf.attacks import ATTACKS, DefendedModel
from madvae_tf.data.adversarial_sets import AdversarialSet, PairedSets
from madvae_tf.data.batches import training_dataset
from madvae_tf.data.generate import generate_set
from madvae_tf.data.prepare import Split, to_float
from madvae_tf.evaluation.oblivious import batched
from madvae_tf.models.classifiers import Table6Classifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.loop import compiled_step, default_strategy

_BATCH, _SHARD = 250, 1000


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # kibibytes on Linux


def _load(material: str) -> tuple[Split, Any]:
    values = np.load(material)
    classifier = Table6Classifier(dropout=0.0)
    classifier.set_weights(weights_in(values))
    return Split(values["train_images"], values["train_labels"]), classifier


def _generate(
    folder: str, split: Split, classifier: Any, images: int, attack: str, **parameters: Any
) -> Any:
    shutil.rmtree(folder, ignore_errors=True)
    generate_set(
        Path(folder),
        ATTACKS[attack](**parameters),
        DefendedModel(functools.partial(classifier, training=False)),
        split,
        np.arange(images),
        0,
        min(_BATCH, images),
        min(_SHARD, images),
        {"dataset": "mnist", "split": "train"},
    )
    return AdversarialSet.open(Path(folder))


def generation(material: str, folder: str, images: int) -> dict[str, float]:
    """An adversarial set of ten-step PGD."""
    split, classifier = _load(material)
    make = functools.partial(_generate, folder, split, classifier, attack="pgd", iterations=10)
    make(images=min(_BATCH, images))  # compiles
    start = time.perf_counter()
    make(images=images)
    return {"seconds": time.perf_counter() - start, "peak_mib": _peak_mib()}


def training(material: str, folder: str, images: int) -> dict[str, float]:
    """One epoch of a vanilla purifier, batch 64, on pairs from disk."""
    split, classifier = _load(material)
    made = _generate(folder, split, classifier, images, "none")
    pairs = PairedSets([made], split.images, split.labels)
    batch = min(64, images)
    strategy = default_strategy()
    with strategy.scope():
        trainer = make_trainer("vanilla", "mixed_bfloat16")
    step = compiled_step(trainer, strategy)
    steps = images // batch
    batches = iter(training_dataset(pairs, batch, 0, 0, steps + 1))
    step(next(batches))
    start = time.perf_counter()
    for data in batches:
        {name: float(value) for name, value in step(data).items()}
    return {"seconds": time.perf_counter() - start, "peak_mib": _peak_mib()}


def evaluation(material: str, folder: str, images: int) -> dict[str, float]:
    """Predictions behind a purifier, in float32."""
    split, classifier = _load(material)
    purifier = DefenseVAE()
    predict = tf.function(lambda x: classifier(purifier(x)))
    batch = min(_BATCH, images)
    pixels = to_float(split.images[:images])
    batched(predict, pixels[:batch], batch)
    start = time.perf_counter()
    batched(predict, pixels, batch)
    return {"seconds": time.perf_counter() - start, "peak_mib": _peak_mib()}


OPERATIONS = {"generation": generation, "training": training, "evaluation": evaluation}
