"""Keras models: the classifier, the purifier, and their composition."""

import madvae_tf.utils.backend  # noqa: F401  # first: it refuses another backend of Keras
