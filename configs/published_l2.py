"""robust_l2.py with the purifier for L2 2.0 of docs/weights, against attackers who know of it.

    python -m pipeline.run --config=configs/published_l2.py --workdir=runs/robust-l2 --stage=robustness
    python -m pipeline.run --config=configs/published_l2.py --workdir=runs/robust-l2 --stage=report

Needs a checkout: a wheel has no docs/.
"""  # noqa: E501

import dataclasses

from configs import published, robust_l2
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    config = published.end_to_end("published_l2", robust_l2.get_config(), (0.3,), (2.0,))
    own = dataclasses.replace(config.robustness, sanity_norm="l2")
    return published.with_weights(
        dataclasses.replace(config, robustness=own), "mnist-robust", "mnist-robust-l2"
    )
