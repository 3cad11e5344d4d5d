"""Training of the classifier under attack (Table 6)."""

from typing import Any

import keras
import tensorflow as tf

from madvae_tf.models.classifiers import CLASSIFIERS, Table6Classifier
from madvae_tf.models.copies import in_precision
from madvae_tf.training.augment import random_flip, random_shift
from madvae_tf.training.replicas import apply_clipped, global_size
from madvae_tf.utils.errors import lookup
from madvae_tf.utils.images import IMAGE_SHAPE, Shape
from madvae_tf.utils.labels import PAPER_CLASSES, classes_entry

# The largest gradient norm let through; ordinary steps stay below it.
CLIP_NORM = 5.0
# Added to the seed, so that mirror images are not drawn from the numbers of the shifts.
_FLIP_STREAM = 67_867_967


class ClassifierTrainer(keras.Model):
    """Trains `classifier` with cross-entropy on shifted, and if wished mirrored, images.

    Batches are dicts {"x": float32 (batch, height, width, channels) in [0, 1], "label": int64
    (batch,)}. All randomness comes from (seed, optimizer.iterations), so a resumed run repeats an
    unbroken one.

    Args:
        classifier: a model with `logits(images, dropout_seed)`.
        max_shift: pixels of augmentation, 0 for none.
        seed: folded into shifts, mirror images and dropout.
        flip: whether half of the images are mirrored left to right, for data whose labels do not
            mind.
    """

    def __init__(
        self, classifier: keras.Model, max_shift: int, seed: int, flip: bool = False, **kwargs
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.classifier = classifier
        self.max_shift = max_shift
        self.seed = seed
        self.flip = flip
        self.built = True

    def call(self, inputs):
        return self.classifier(inputs)

    def train_step(self, data):
        images, label = data["x"], data["label"]
        step = tf.cast(self.optimizer.iterations, tf.int32)
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int32)
        shift_seed = tf.stack([self.seed, 2 * step])
        # Dropout is drawn per replica: its mask has the shape of an activation, not of the global
        # batch.
        dropout_seed = tf.stack([self.seed + 7919 * replica, 2 * step + 1])
        images = random_shift(images, self.max_shift, shift_seed)
        if self.flip:
            images = random_flip(images, tf.stack([self.seed + _FLIP_STREAM, step]))
        with tf.GradientTape() as tape:
            logits = self.classifier.logits(images, dropout_seed)
            entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=logits)
            loss = tf.reduce_sum(entropy) / global_size(label)
        variables = self.classifier.trainable_variables
        apply_clipped(self.optimizer, tape.gradient(loss, variables), variables, CLIP_NORM)
        return {"loss": loss, "accuracy": correct(logits, label) / global_size(label)}

    def test_step(self, data):
        logits = self.classifier(data["x"])
        entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(
            labels=data["label"], logits=logits
        )
        size = global_size(data["label"])
        return {
            "loss": tf.reduce_sum(entropy) / size,
            "accuracy": correct(logits, data["label"]) / size,
        }


def correct(logits: tf.Tensor, label: tf.Tensor) -> tf.Tensor:
    """How many of the predictions are the label, float32 ()."""
    return tf.reduce_sum(tf.cast(tf.equal(tf.argmax(logits, axis=1), label), tf.float32))


def build_classifier(
    name: str,
    dropout: float,
    precision: str,
    image_shape: Shape = IMAGE_SHAPE,
    num_classes: int = PAPER_CLASSES,
) -> keras.Model:
    """A new classifier of the registry `CLASSIFIERS`. Raises `UserError` for an unknown name."""
    made = lookup(CLASSIFIERS, name, "classifier")
    own = {"image_shape": image_shape, **classes_entry(num_classes)}
    return made(dropout=dropout, dtype=precision, **own)


def classifier_in(precision: str, classifier: Any, name: str) -> Any:
    """What a purifier is trained against: a copy of `classifier` that computes in `precision`, a
    Keras dtype policy.

    Args:
        name: its name in `CLASSIFIERS`; "" for a `ExternalClassifier`, which is returned as it is
            unless it is a Table 6 from a file.
    """
    source = classifier if name else classifier.source
    ours = name or (isinstance(source, Table6Classifier) and classifier.outputs == "logits")
    return in_precision(source, precision, dropout=0.0) if ours else classifier
