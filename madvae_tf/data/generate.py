"""Generation of an adversarial set: shard by shard, from the images of a split to the disk."""

import dataclasses
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.attacks import DefendedModel
from madvae_tf.attacks.base import Attack, AttackResult, attack_batches, fold_seed
from madvae_tf.data.adversarial_sets import ShardWriter
from madvae_tf.data.prepare import Split
from madvae_tf.utils.images import as_float


def draw_rows(available: int, wanted: int, seed: int, *purpose: int) -> np.ndarray:
    """`wanted` distinct rows of `available`, sorted, int64; all of them for `wanted` 0 or more than
    there are.

    Args:
        seed, purpose: what the draw depends on; the same numbers give the same rows.
    """
    if wanted == 0 or wanted >= available:
        return np.arange(available)
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, *purpose))))
    return np.sort(generator.permutation(available)[:wanted]).astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class SetWork:
    """One adversarial set to be made, shard by shard, in any order and by any number of processes.

    A shard is the unit of work: its content depends on (seed, its number) alone, and it appears
    whole or not at all, so that two that make the same one do no harm.

    Attributes:
        folder: where the set is written.
        split: the images; `rows` int64 (n,) says which of them.
        batch_size: images per call of the attack; divides `shard_size`.
        metadata: dataset and split, for `set.json`; attack, parameters and seed are added there.
    """

    folder: Path
    attack: Attack
    target: DefendedModel
    split: Split
    rows: np.ndarray
    seed: int
    batch_size: int
    shard_size: int
    metadata: dict[str, Any]

    def missing(self) -> list[int]:
        """The numbers of the shards that are not there, in order."""
        writer = ShardWriter(self.folder, self.shard_size)
        return [
            shard
            for shard in range(-(-len(self.rows) // self.shard_size))
            if not writer.done(shard)
        ]

    def images_in(self, shards: Iterable[int]) -> int:
        """How many images those shards hold, or will hold."""
        return sum(len(self.rows[s * self.shard_size : (s + 1) * self.shard_size]) for s in shards)

    def make(self, shards: list[int], progress: Callable[[int], object] | None = None) -> None:
        """Makes those shards; memory holds one at a time beside the split. `progress`: called with
        images done.
        """
        writer = ShardWriter(self.folder, self.shard_size)
        # Settings of one attack draw apart, though they share the configuration's seed.
        purpose = zlib.crc32(f"{self.metadata['split']} {self.attack.canonical}".encode())
        folded = fold_seed((self.seed, purpose))
        for shard, index, images, label in _clean_shards(
            self.split, self.rows, self.shard_size, shards
        ):
            results = attack_batches(
                self.attack,
                self.target,
                images,
                label,
                folded,
                batch_size=self.batch_size,
                start_batch=shard * (self.shard_size // self.batch_size),
                progress=progress,
            )
            writer.write(shard, AttackResult.concatenate(list(results)).x_adv, index, label)

    def finish(self) -> None:
        """Writes `set.json`, the last file of a set. Raises `UserError` where a shard is missing."""  # noqa: E501
        own = {"attack": self.attack.name, "parameters": self.attack.parameters, "seed": self.seed}
        ShardWriter(self.folder, self.shard_size).finish({**self.metadata, **own})


def generate_set(
    folder: Path,
    attack: Attack,
    target: DefendedModel,
    split: Split,
    rows: np.ndarray,
    seed: int,
    batch_size: int,
    shard_size: int,
    metadata: dict[str, Any],
    progress: Callable[[int], object] | None = None,
) -> None:
    """Attacks `rows` of `split` and writes the set to `folder`; shards that are there already are
    kept.

    The arguments are those of `SetWork`; `progress` is called with the number of images done, those
    of finished shards at once.
    """
    work = SetWork(folder, attack, target, split, rows, seed, batch_size, shard_size, metadata)
    missing = work.missing()
    done = len(rows) - work.images_in(missing)
    if progress is not None and done:
        progress(done)
    work.make(missing, progress)
    work.finish()


def _clean_shards(
    split: Split, rows: np.ndarray, shard_size: int, wanted: list[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """Yields (shard number, index, float32 images, label) of the wanted shards, one at a time."""
    for shard in wanted:
        index = rows[shard * shard_size : (shard + 1) * shard_size]
        yield shard, index, as_float(split.images[index]), np.asarray(split.labels[index])
