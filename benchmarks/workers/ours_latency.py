"""The exported purifier: `purify` of the SavedModel, as another program calls it."""

import time
from pathlib import Path
from typing import Any

import tensorflow as tf

from benchmarks.workers.ours_floor import forward_flops

_state: dict[str, Any] = {}


def load(folder: str) -> None:
    """Exports a new purifier to `folder`, if there is none, and loads it."""
    if not (Path(folder) / "saved_model.pb").exists():
        from madvae_tf.export.saved_model import export_purifier
        from madvae_tf.models.classifiers import Table6Classifier
        from madvae_tf.models.vae import DefenseVAE

        Path(folder).mkdir(parents=True, exist_ok=True)
        export_purifier(Path(folder), DefenseVAE(), Table6Classifier(dropout=0.0))
    _state["model"] = tf.saved_model.load(folder)
    _state["purify"] = _state["model"].signatures["purify"]


def milliseconds(batch: int, calls: int) -> float:
    """An image, over `calls` calls, each of which is waited for."""
    images = tf.random.stateless_uniform((batch, 28, 28, 1), (0, 0))
    start = time.perf_counter()
    for _ in range(calls):
        _state["purify"](images=images)["purified"].numpy()
    return 1000 * (time.perf_counter() - start) / (batch * calls)


def flops_per_image() -> int:
    """Of the purifier's forward pass."""
    return forward_flops()["purifier"]


OPERATIONS = {"load": load, "milliseconds": milliseconds, "flops_per_image": flops_per_image}
