"""What a `train_step` needs to be the same on one device and on many.

The loss is divided by the global batch and the optimizer sums over replicas. Noise is drawn for the
global batch from (seed, step) and every replica takes its part, so the number of devices does not
change the draw.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf


def first_row(local_batch: tf.Tensor) -> Any:
    """The place of this replica's first row in the global batch, int32 (); 0 where there is one
    replica.
    """
    context = tf.distribute.get_replica_context()
    if context.num_replicas_in_sync == 1:
        return 0
    return tf.cast(context.replica_id_in_sync_group, tf.int32) * local_batch


def replica_part(
    draw: Callable[[tf.Tensor], tf.Tensor],
    local_batch: tf.Tensor,
    place: tuple[Any, Any] | None = None,
) -> tf.Tensor:
    """This replica's rows of `draw(global batch size)`, which draws the same rows on every replica.

    Args:
        place: the first of these rows and how many there are on all replicas, where replicas hold
            different numbers of them.
    """
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    if replicas == 1:
        return draw(local_batch)
    start, total = place or (first_row(local_batch), replicas * local_batch)
    return draw(total)[start : start + local_batch]


def global_size(labels: tf.Tensor) -> tf.Tensor:
    """Images in the global batch, float32; every replica holds as many."""
    return tf.cast(
        tf.shape(labels)[0] * tf.distribute.get_replica_context().num_replicas_in_sync, tf.float32
    )


def apply_clipped(
    optimizer: keras.optimizers.Optimizer,
    gradients: Sequence[Any],
    variables: Sequence[keras.Variable],
    clip_norm: float,
) -> None:
    """Clips the *global* gradient by its norm and applies it.

    The optimizer's own clipping would bound every replica's part alone, before their sum.
    `clip_norm` 0: no clipping.
    """
    if not clip_norm:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas > 1:
        gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, list(gradients))
    clipped, _ = tf.clip_by_global_norm(gradients, clip_norm)
    if replicas > 1:  # The optimizer sums over replicas, and each of them now holds the whole.
        clipped = [gradient / replicas for gradient in clipped]
    optimizer.apply_gradients(zip(clipped, variables, strict=True))


def cosine_decay(
    start: float, end: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate end + (start - end) (1 + cos(pi step / steps)) / 2, and `end` from `steps` on."""  # noqa: E501
    return keras.optimizers.schedules.CosineDecay(
        start, decay_steps=max(steps, 1), alpha=end / start
    )


def exponential_decay(
    start: float, end: float, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Learning rate start * (end / start) ** (step / steps)."""
    return keras.optimizers.schedules.ExponentialDecay(
        start, decay_steps=max(steps, 1), decay_rate=end / start
    )
