"""The Python interface in three lines, which `madvae_tf` itself offers under the same names.

    defense = madvae_tf.fit(classifier, images, labels, variant="combined")
    purified = defense.purify(images)
    defense.save("my-defense")  # and madvae_tf.load("my-defense")

`fit_robust(classifier, images, labels)` trains the purifier for attackers who know of it. `images,
labels = madvae_tf.read_dataset("my-data")` reads NPZ, IDX, CSV and Parquet files and trees of image
folders. And a Keras layer for models of your own:
`keras.Sequential([madvae_tf.Purifier(defense), classifier])`. Importing this package registers what
saved models need.
"""

import madvae_tf.utils.backend  # noqa: F401  # first: it refuses another backend of Keras
from madvae_tf.api.fitted import FittedDefense, load
from madvae_tf.api.fitting import fit
from madvae_tf.api.fitting_robust import fit_robust
from madvae_tf.api.layer import Purifier
from madvae_tf.data.readers import read_dataset

__all__ = ["FittedDefense", "Purifier", "fit", "fit_robust", "load", "read_dataset"]
