"""robust.py with half of each batch attacked within L-infinity 0.3 and half within L2 2.0: one purifier for both norms.

python -m madvae_tf.train --loss=robust --config=configs/robust_both.py --workdir=runs/quick
"""

import dataclasses

from configs import robust
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base = robust.get_config()
    return dataclasses.replace(
        base,
        name="robust_both",
        robust=dataclasses.replace(base.robust, scale=10.0, norm="both", l2_epsilon=2.0, crossing=True),
        robustness=dataclasses.replace(base.robustness, l2=(2.0,)),
    )
