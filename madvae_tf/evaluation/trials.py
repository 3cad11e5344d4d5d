"""One trial: an attack's runs, each on the images that are still right, gathered from all batches
and kept in a file.
"""

import dataclasses
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from madvae_tf.attacks import Attack, DefendedModel, fold_seed, run_attack
from madvae_tf.attacks.repeated import runs_of
from madvae_tf.evaluation.parallel import at_once, in_order
from madvae_tf.evaluation.steadiness import robust_in_all
from madvae_tf.evaluation.store import Progress, TrialFile
from madvae_tf.evaluation.suites import Trial

_WORTH_CUTTING = 32


@dataclasses.dataclass(frozen=True, eq=False)
class TrialInputs:
    """What all trials of an evaluation share.

    Attributes:
        judge: the system, compiled: images -> logits.
        images, labels: float32 (n, height, width, channels) in [0, 1], and int64 (n,).
        seed: of every random draw.
        batch_size: images at a time.
        keep_images: whether a trial keeps the images that fooled the system.
        repeats: how often the system is asked of an image.
    """

    judge: Callable[[tf.Tensor], tf.Tensor]
    images: np.ndarray
    labels: np.ndarray
    seed: int
    batch_size: int
    keep_images: bool
    repeats: int = 1


def to_the_end(trial: Trial, own: bool) -> Trial:
    """An attack on something other than the system goes on after its first success there, which
    need not be one here.

    Args:
        own: whether the attacker has the system itself; what is attacked around a gradient of it
            says what it says.
    """
    if own and trial.gradient in ("exact", "identity", "straight_through"):
        return trial
    if not getattr(trial.attack, "early", False):
        return trial
    changed: Any = {"early": False}
    return dataclasses.replace(trial, attack=dataclasses.replace(trial.attack, **changed))


def run_trial(
    trial: Trial,
    attacked: DefendedModel,
    given: TrialInputs,
    before: np.ndarray,
    file: TrialFile,
    advance: Callable[[int, int, int, int], object],
) -> Progress:
    """The trial on the images that are right before it.

    Args:
        attacked: what the attack sees.
        before: bool (n,).
        file: goes on from what it holds.
        advance: see `cost.Course.advance`.
    """
    n = len(given.images)
    state = file.load(n) or Progress(
        before.copy(),
        np.zeros(n, bool),
        np.zeros(0, np.int64),
        given.images.copy() if given.keep_images else None,
        before.copy(),
    )
    runs, size = runs_of(trial.attack), given.batch_size
    drawn = fold_seed((given.seed, zlib.crc32(trial.label.encode())))
    for number in range(len(state.n_robust), len(runs)):
        # Chunks of the images still right; those visited before a stop were whole chunks of the
        # same row.
        waiting = np.flatnonzero(state.robust & ~state.visited)
        chunks = [waiting[start : start + size] for start in range(0, len(waiting), size)]
        waits = len(waiting)
        advance(number, waits, int(state.robust.sum()), 0)

        def after(
            rows: np.ndarray, attack: Attack = runs[number]
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
            # A run of a repeated attack folds its own number in; an attack without runs has one.
            fit = padded(len(rows), size)
            found = run_attack(attack, attacked, given.images[rows], given.labels[rows], drawn, fit)
            robust = robust_in_all(
                given.judge, found.x_adv, given.labels[rows], size, given.repeats
            )
            return rows, found.x_adv, robust, found.linf == 0

        for rows, x_adv, robust, same in in_order(after, chunks, at_once()):
            state.robust[rows] = robust
            state.visited[rows] = True
            state.unchanged[rows] &= same
            if state.x_adv is not None:
                state.x_adv[rows[~robust]] = x_adv[~robust]
            file.save(state)
            waits -= len(rows)
            advance(number, waits, int(state.robust.sum()), len(rows))
        state.n_robust = np.append(state.n_robust, state.robust.sum())
        state.visited[:] = False
        file.save(state)
    return state


def padded(count: int, batch_size: int) -> int:
    """What a chunk is padded to: the batch size, or a quarter of it where that is enough.

    Few images are left of a defence that falls; a full batch of their copies would cost what a full
    batch costs. Small batches are not worth compiling once more.
    """
    quarter = -(-batch_size // 4)
    return quarter if count <= quarter and batch_size >= _WORTH_CUTTING else batch_size
