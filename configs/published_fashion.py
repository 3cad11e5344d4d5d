"""robust_fashion.py with the purifier for Fashion-MNIST, L-infinity 0.1 of docs/weights, against
attackers who know of it.

    python -m pipeline.run --config=configs/published_fashion.py --workdir=runs/robust-fashion --stage=robustness
    python -m pipeline.run --config=configs/published_fashion.py --workdir=runs/robust-fashion --stage=report

Needs a checkout: a wheel has no docs/.
"""  # noqa: E501

from configs import published, robust_fashion
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    config = published.end_to_end("published_fashion", robust_fashion.get_config(), (0.1,), ())
    return published.with_weights(config, "fashion-robust", "fashion-robust")
