"""Keras models: the classifier, the purifier, and their composition."""

from madvae_tf import backend  # noqa: F401  # first: it refuses another backend of Keras
