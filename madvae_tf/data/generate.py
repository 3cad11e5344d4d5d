"""Generation of an adversarial set: clean images stream in by tf.data, finished shards go to disk."""

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.attacks.base import Attack, AttackResult, Target, attack_batches, fold_seed
from madvae_tf.data.adversarial_sets import ShardWriter
from madvae_tf.data.prepare import Split


def draw_rows(available: int, wanted: int, seed: int, *purpose: int) -> np.ndarray:
    """`wanted` distinct rows of `available`, sorted, int64; all of them for `wanted` 0 or more than there are.

    Args:
        seed, purpose: what the draw depends on; the same numbers give the same rows.
    """
    if wanted == 0 or wanted >= available:
        return np.arange(available)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, *purpose))))
    return np.sort(generator.permutation(available)[:wanted]).astype(np.int64)


def generate_set(
    folder: Path,
    attack: Attack,
    target: Target,
    split: Split,
    rows: np.ndarray,
    seed: int,
    batch_size: int,
    shard_size: int,
    metadata: dict[str, Any],
    progress: Callable[[int], object] | None = None,
) -> None:
    """Attacks `rows` of `split` and writes the set to `folder`; shards that are there already are kept.

    Memory holds one shard at a time beside the split. A shard's content depends on (seed, its number) and not on what
    was made before it.

    Args:
        rows: int64 (n,), which images of the split.
        batch_size: images per call of the attack; divides `shard_size`.
        metadata: dataset and split, for `set.json`; attack, parameters and seed are added here.
        progress: called with the number of images done, those of finished shards at once.
    """
    writer = ShardWriter(folder, shard_size)
    # Settings of one attack draw apart, though they share the configuration's seed.
    folded = fold_seed((seed, zlib.crc32(repr((metadata["split"], attack)).encode())))
    shards = -(-len(rows) // shard_size)
    missing = [shard for shard in range(shards) if not writer.done(shard)]
    if progress is not None and len(missing) < shards:
        progress(
            sum(len(rows[s * shard_size : (s + 1) * shard_size]) for s in set(range(shards)) - set(missing))
        )
    for shard, index, images, label in _clean_shards(split, rows, shard_size, missing):
        results = attack_batches(
            attack,
            target,
            images,
            label,
            folded,
            batch_size=batch_size,
            start_batch=shard * (shard_size // batch_size),
            progress=progress,
        )
        writer.write(shard, AttackResult.concatenate(list(results)).x_adv, index, label)
    writer.finish({**metadata, "attack": attack.name, "parameters": attack.parameters, "seed": seed})


def _clean_shards(split: Split, rows: np.ndarray, shard_size: int, wanted: list[int]) -> Iterator[Any]:
    """Yields (shard number, index, float32 images, label) of the wanted shards, the next one read ahead."""

    def load(shard: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        images = tf.cast(tf.gather(images_all, index), tf.float32) / 255.0
        return shard, index, images, tf.gather(labels_all, index)

    images_all, labels_all = tf.constant(split.images), tf.constant(split.labels)
    parts = [rows[shard * shard_size : (shard + 1) * shard_size] for shard in wanted]
    dataset = tf.data.Dataset.from_generator(
        lambda: zip(wanted, parts, strict=True),
        output_signature=(tf.TensorSpec((), tf.int64), tf.TensorSpec((None,), tf.int64)),
    )
    for shard, *arrays in dataset.map(load).prefetch(1).as_numpy_iterator():
        yield int(shard), *arrays
