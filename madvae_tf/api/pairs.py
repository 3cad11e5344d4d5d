"""The pairs that `fit` learns from: the user's images under the paper's attacks (section 3), each
beside itself.

Adversarial images lie in a file that is mapped into memory, so that their number is bounded by the
disk.
"""

import dataclasses
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from madvae_tf.attacks import (
    FGSM,
    Attack,
    CarliniWagner,
    DefendedModel,
    NoAttack,
    RandFGSM,
    attack_batches,
    fold_seed,
)
from madvae_tf.config import AttackConfig
from madvae_tf.data.generate import draw_rows
from madvae_tf.utils.images import Shape, as_float, shape_of
from madvae_tf.utils.progress import progress_bar

_PAPER = AttackConfig()


@dataclasses.dataclass(eq=False)
class AttackedPairs:
    """Rows of pairs for the trainer (`data.batches.Rows`).

    Attributes:
        x_adv: float32 (m, height, width, channels).
        index: int64 (m,), which of `images` each one came from.
        images: uint8 or floating point (n, height, width, channels), clean.
        labels: int64 (n,).
    """

    x_adv: np.ndarray
    index: np.ndarray
    images: np.ndarray
    labels: np.ndarray
    fields: tuple[str, ...] = ("x_adv", "x", "label")

    @property
    def image_shape(self) -> Shape:
        """(height, width, channels) of the images."""
        return shape_of(self.x_adv)

    def __len__(self) -> int:
        return len(self.index)

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """x_adv and x float32 (b, height, width, channels) in [0, 1], label int64 (b,), of `rows`,
        integers (b,).
        """
        index = self.index[rows]
        return np.asarray(self.x_adv[rows]), as_float(self.images[index]), self.labels[index]


def training_attacks(iterations: int, epsilon: float = _PAPER.test_epsilon) -> list[Attack]:
    """FGSM and Rand-FGSM with epsilon 0.25, 0.30 and 0.35, CW with confidence 5, 10 and 15, and
    clean images.

    The epsilons and Rand-FGSM's alpha are for the budget 0.3; for another `epsilon` they are in
    proportion.

    CW searches its constant over 9 descents from 1e-3, as in the paper, where `iterations` is at
    least 500; below, one descent at a larger constant and rate makes larger but as effective
    changes in a fraction of the time.
    """
    attacks: list[Attack] = []
    for budget in _PAPER.train_epsilons:
        attacks += _signs(budget, epsilon)
    attacks += [_carlini_wagner(confidence, iterations) for confidence in _PAPER.train_confidences]
    return [*attacks, NoAttack()]


def validation_attacks(iterations: int, epsilon: float = _PAPER.test_epsilon) -> list[Attack]:
    """The same attacks with strengths that training does not see."""
    return [
        *_signs(_PAPER.validation_epsilon, epsilon),
        _carlini_wagner(_PAPER.validation_confidence, iterations),
        NoAttack(),
    ]


def _signs(budget: float, epsilon: float) -> list[Attack]:
    """FGSM and Rand-FGSM of a budget of the paper, in proportion to `epsilon`."""
    share = epsilon / _PAPER.test_epsilon
    return [
        FGSM(epsilon=budget * share),
        RandFGSM(epsilon=budget * share, alpha=_PAPER.alpha * share),
    ]


def _carlini_wagner(confidence: float, iterations: int) -> Attack:
    if iterations >= 500:
        return CarliniWagner(
            confidence=confidence,
            max_iterations=iterations,
            binary_search_steps=9,
            initial_const=1e-3,
        )
    return CarliniWagner(
        confidence=confidence,
        max_iterations=iterations,
        binary_search_steps=1,
        # The shorter the descent, the longer the steps: 0.22 at 45.
        learning_rate=min(0.5, max(0.01, 10.0 / iterations)),
        initial_const=3.0,
    )


def make_pairs(
    target: DefendedModel,
    images: np.ndarray,
    labels: np.ndarray,
    attacks: Sequence[Attack],
    images_per_attack: int,
    seed: int,
    batch_size: int,
    file: Path,
) -> AttackedPairs:
    """Attacks `images_per_attack` images with each attack, every one its own draw of the images.

    Args:
        images: uint8 or floating point (n, height, width, channels); `labels` int64 (n,).
        images_per_attack: 0 or more than n: all.
        batch_size: images per call of an attack.
        file: where the adversarial images go; its stem names the draws.
    """
    purposes = [zlib.crc32(f"{file.stem} {attack.canonical}".encode()) for attack in attacks]
    draws = [draw_rows(len(images), images_per_attack, seed, purpose) for purpose in purposes]
    index = np.concatenate(draws)
    # Made on disk at once: a disk that is too small is found before the work.
    shape = (len(index), *shape_of(images))
    x_adv = np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)
    done = 0
    with progress_bar(len(index), f"{file.stem} pairs", "image") as bar:
        for attack, purpose, rows in zip(attacks, purposes, draws, strict=True):
            folded = fold_seed((seed, purpose))
            for number, start in enumerate(range(0, len(rows), batch_size)):
                some = rows[start : start + batch_size]
                (result,) = attack_batches(
                    attack,
                    target,
                    as_float(images[some]),
                    labels[some],
                    folded,
                    batch_size=batch_size,
                    start_batch=number,
                    progress=bar.update,
                )
                x_adv[done : done + len(some)] = result.x_adv
                done += len(some)
    return AttackedPairs(x_adv, index, images, labels)
