"""What every training from rows of images shares: batches, strategy, initial weights, checkpoints,
log, validation.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from madvae_tf.data.batches import Rows, training_dataset
from madvae_tf.models.seeding import initial_weights
from madvae_tf.training.callbacks import MeanLog, Progress
from madvae_tf.training.loop import Logs, default_strategy, evaluate_steps, train

# Steps that a row of the log averages, at most, and steps between checkpoints.
LOG_STEPS, CHECKPOINT_STEPS = 20, 100


def batches_of(rows: Rows, batch_size: int, epoch_steps: int = 0) -> tuple[int, int]:
    """The batch size, at most all rows, and the steps of an epoch: `epoch_steps`, or a pass."""
    batch_size = min(batch_size, len(rows))
    return batch_size, epoch_steps or len(rows) // batch_size


def train_on_rows(
    build: Callable[[int], Any],
    rows: Rows,
    title: str,
    *,
    batch_size: int,
    epochs: int,
    seed: int,
    folder: Path,
    checkpoints: Path,
    validation: tf.data.Dataset | None = None,
    callbacks: Callable[[Any], Sequence[keras.callbacks.Callback]] = lambda trainer: (),
    epoch_steps: int = 0,
    first_epoch: int = 0,
    checkpoint_steps: int = 0,
    parts: Callable[[tf.data.Dataset, int], tf.data.Dataset] = lambda dataset, replicas: dataset,
) -> tuple[Any, Logs]:
    """Trains what `build` makes, from the newest checkpoint where there is one.

    Args:
        build: total number of steps -> compiled trainer; called under the strategy's scope, with
            initial weights that follow from `seed`.
        rows: what is learnt from.
        title: what the progress bar and the log call it.
        batch_size: of all replicas; at most all rows.
        epochs: passes over `rows`, or over `epoch_steps` batches of them.
        seed: of the initial weights and of the order of the rows.
        folder: gets `log.csv` and `tensorboard/`.
        checkpoints: where they are; a killed run goes on from there and ends with the same weights.
        validation: batches that the trainer is measured on after every epoch.
        callbacks: trainer -> further callbacks, which come before the bar and the log.
        epoch_steps: steps of an epoch; 0 for a pass over all rows.
        first_epoch: passes over `rows` that are taken as done, by a training that this one goes on
            from.
        checkpoint_steps: steps between checkpoints; 0 for `CHECKPOINT_STEPS`.
        parts: dataset, number of replicas -> the dataset that the trainer's steps take.

    Returns:
        The trainer, and the values of the last validation; of a run that had ended before, none.

    Raises:
        Diverged, UserError: see `loop.train`.
    """
    before = batches_of(rows, batch_size)[1] * first_epoch
    batch_size, steps = batches_of(rows, batch_size, epoch_steps)
    total = steps * epochs
    strategy = default_strategy()
    with initial_weights(seed), strategy.scope():
        trainer = build(total)
    last: Logs = {}
    checkpoint_steps = checkpoint_steps or CHECKPOINT_STEPS
    # A checkpoint must not fall in the middle of a row of the log.
    log_steps = math.gcd(LOG_STEPS, checkpoint_steps)

    def validate() -> Logs:
        if validation is not None:
            last.update(evaluate_steps(trainer, validation))
        return dict(last)

    def dataset(start: int) -> tf.data.Dataset:
        batches = training_dataset(rows, batch_size, seed, before + start, before + total)
        return parts(batches, strategy.num_replicas_in_sync)

    train(
        trainer,
        dataset,
        steps,
        epochs,
        strategy,
        checkpoints,
        checkpoint_steps,
        [*callbacks(trainer), Progress(title, total), MeanLog(folder, log_steps)],
        validate,
    )
    return trainer, last
