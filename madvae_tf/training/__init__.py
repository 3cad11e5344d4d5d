"""Training: one loop for every strategy, and the steps of the classifier and of the purifier."""

from madvae_tf import backend  # noqa: F401  # first: it refuses another backend of Keras
