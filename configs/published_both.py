"""robust_both.py with the purifier for L-infinity 0.3 and L2 2.0 of docs/weights, against attackers
who know of it.

    python -m pipeline.run --config=configs/published_both.py --workdir=runs/robust-both --stage=robustness
    python -m pipeline.run --config=configs/published_both.py --workdir=runs/robust-both --stage=report

Needs a checkout: a wheel has no docs/.
"""  # noqa: E501

from configs import published, robust_both
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    config = published.end_to_end("published_both", robust_both.get_config(), (0.3,), (2.0,))
    return published.with_weights(config, "mnist-robust", "mnist-robust-both")
