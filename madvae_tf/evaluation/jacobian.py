"""Jacobian-based augmentation: new images where the substitute's answer changes fastest.

    x' = clip(x + lambda sign(d Z_y(x) / dx)), clip to [0, 1]

Z are the substitute's logits, y is the label that the oracle gave to x, lambda the step (Papernot
et al. 2016, Algorithm 1, "Practical Black-Box Attacks against Machine Learning").
"""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

Logits = Callable[[tf.Tensor], tf.Tensor]


def jacobian_step(logits: Logits, images: tf.Tensor, labels: tf.Tensor, step: float) -> tf.Tensor:
    """One new image for each image; a pixel whose derivative is 0 stays as it is.

    Args:
        logits: differentiable, images -> (batch, classes).
        images: float32 (batch, height, width, channels) in [0, 1].
        labels: int64 (batch,), the oracle's.
        step: lambda; negative steps lead away from the label.

    Returns:
        float32 (batch, height, width, channels) in [0, 1].
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        chosen = tf.gather(logits(images), labels, axis=1, batch_dims=1)
    gradient = tf.convert_to_tensor(tape.gradient(chosen, images))
    return tf.clip_by_value(images + step * tf.sign(gradient), 0.0, 1.0)


def augmentation(
    logits: Logits, step: float, batch_size: int
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """(images, labels) -> as many new images, float32; `jacobian_step` in batches of one size,
    compiled once.

    The logits' variables may change between calls. The last batch is padded, not dropped: the set
    must double.
    """
    compiled = tf.function(lambda images, labels: jacobian_step(logits, images, labels, step))

    def augment(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), batch_size):
            # Cyclic: the rows past the end are the first ones again.
            rows = np.arange(start, start + batch_size) % len(images)
            stepped = compiled(tf.constant(images[rows]), tf.constant(labels[rows]))
            parts.append(stepped.numpy()[: len(images) - start])
        return np.concatenate(parts)

    return augment
