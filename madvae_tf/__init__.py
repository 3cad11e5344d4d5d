"""MAD-VAE on TensorFlow: a variational autoencoder that purifies an image before a classifier sees
it.

    defense = madvae_tf.fit(classifier, images, labels, variant="combined")
    purified = defense.purify(images)
    defense.save("my-defense")  # and madvae_tf.load("my-defense")
    madvae_tf.evaluate(defense, images, labels, threat="linf:0.3", preset="fast")

`fit_robust` trains the purifier for attackers who know of it. These names, and the Keras layer
`Purifier`, load TensorFlow when they are first used; `import madvae_tf` alone does not.
"""

import importlib
from typing import TYPE_CHECKING, Any

from madvae_tf.utils import forks  # noqa: F401  # from here on forks are noticed

if TYPE_CHECKING:
    from madvae_tf.api import FittedDefense, Purifier, fit, fit_robust, load, read_dataset
    from madvae_tf.evaluation import benchmark, evaluate
    from madvae_tf.presets import from_preset
    from madvae_tf.utils.errors import UserError

__version__ = "0.1.0"
__all__ = [
    "FittedDefense",
    "Purifier",
    "UserError",
    "benchmark",
    "evaluate",
    "fit",
    "fit_robust",
    "from_preset",
    "load",
    "read_dataset",
]

_HOMES = {
    **dict.fromkeys(
        ("FittedDefense", "Purifier", "fit", "fit_robust", "load", "read_dataset"), "madvae_tf.api"
    ),
    "UserError": "madvae_tf.utils.errors",
    **dict.fromkeys(("benchmark", "evaluate"), "madvae_tf.evaluation"),
    "from_preset": "madvae_tf.presets",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
