"""What can stand before (or in place of) a classifier, by name: the variants of the paper and its
baselines.

A row gives the defence from its hyper-parameters; the defence knows how it is trained and how it is
applied (`base`).
"""

import functools
import pkgutil
from collections.abc import Callable

import madvae_tf.utils.backend  # noqa: F401  # first: it refuses another backend of Keras
from madvae_tf.config.defenses import BASELINES
from madvae_tf.config.variants import VARIANTS
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.purifier import variant
from madvae_tf.defenses.robust import Robust

DEFENSES: dict[str, Callable[..., Defense]] = {
    **{name: functools.partial(variant, name) for name in VARIANTS},
    **{
        name: pkgutil.resolve_name(f"{__name__}.{spec.implementation}")
        for name, spec in BASELINES.items()
        if spec.implementation
    },
    # In the place of the row above: this variant is trained in a way of its own.
    "robust": Robust,
}

__all__ = ["DEFENSES", "Defense", "TrainingInputs"]
