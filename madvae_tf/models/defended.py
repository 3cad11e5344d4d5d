"""A purifier in front of a classifier, as one model."""

from collections.abc import Callable

import tensorflow as tf


def defended_logits(
    classifier: Callable[[tf.Tensor], tf.Tensor], purifier: Callable[[tf.Tensor], tf.Tensor] | None
) -> Callable[[tf.Tensor], tf.Tensor]:
    """images -> logits of classifier(purifier(images)); without a purifier, of the classifier alone."""
    if purifier is None:
        return lambda images: classifier(images)
    return lambda images: classifier(purifier(images))
