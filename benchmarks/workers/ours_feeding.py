"""Training steps fed from adversarial sets on disk, as the pipeline feeds them, or from one batch
in memory.
"""

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workers.ours_training import make_trainer, random_batch
from madvae_tf.data.adversarial_sets import AdversarialSet, PairedSets, ShardWriter
from madvae_tf.data.batches import training_dataset
from madvae_tf.training.loop import compiled_step, default_strategy

_state: dict[str, Any] = {}
_PAIRS, _SHARD = 4000, 1000


def prepare(folder: str, batch: int) -> None:
    """Writes pairs of random pixels to `folder`, if there are none, and compiles a step."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (_PAIRS, 28, 28, 1), np.uint8)
    labels = generator.integers(0, 10, _PAIRS)
    path = Path(folder)
    if not (path / "set.json").exists():
        writer = ShardWriter(path, _SHARD)
        for shard in range(_PAIRS // _SHARD):
            rows = np.arange(shard * _SHARD, (shard + 1) * _SHARD)
            writer.write(shard, images[rows].astype(np.float32) / 255, rows, labels[rows])
        writer.finish(
            {"dataset": "mnist", "split": "train", "attack": "none", "parameters": {}, "seed": 0}
        )
    pairs = PairedSets([AdversarialSet.open(path)], images, labels)
    strategy = default_strategy()
    with strategy.scope():
        trainer = make_trainer("vanilla", "mixed_bfloat16")
    _state["step"] = compiled_step(trainer, strategy)
    _state["batch"] = random_batch(batch)
    _state["fed"] = iter(
        strategy.experimental_distribute_dataset(training_dataset(pairs, batch, 0, 0, 10**6))
    )
    _state["step"](_state["batch"])
    _state["step"](next(_state["fed"]))


def seconds(fed: bool, steps: int) -> float:
    """Of `steps` steps."""
    start = time.perf_counter()
    for _ in range(steps):
        batch = next(_state["fed"]) if fed else _state["batch"]
        {name: float(value) for name, value in _state["step"](batch).items()}
    return time.perf_counter() - start


OPERATIONS = {"prepare": prepare, "seconds": seconds}
