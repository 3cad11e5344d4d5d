"""robust_table5.py with attacks of L2 radius 2.0 in training, in place of L-infinity 0.3.

Five to eight steps, the first twice the radius long and the others ever shorter: against fewer, or
against steps of one length, a purifier learns to withstand these and little else. No squash: an L2
budget takes pixels across its threshold, at 0.25 a pixel where the change itself would cost 1. Six
passes, about an hour and a half on two CPU cores.

python -m madvae_tf.train --loss=robust --config=configs/robust_l2.py --workdir=runs/quick
"""

import dataclasses

from configs import robust_table5
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base = robust_table5.get_config()
    return dataclasses.replace(
        base,
        name="robust_l2",
        robust=dataclasses.replace(
            base.robust,
            scale=0.0,
            norm="l2",
            epochs=6,
            epsilon=2.0,
            start_epsilon=0.3,
            attack_steps=5,
            late_attack_steps=8,
            late_from=0.6,
            step_ratio=2.0,
            decaying_steps=True,
        ),
        robustness=dataclasses.replace(base.robustness, linf=(), l2=(1.5, 2.0, 4.0)),
    )
