"""Training: one loop for every strategy, and the steps of the classifier and of the purifier."""

import madvae_tf.utils.backend  # noqa: F401  # first: it refuses another backend of Keras
