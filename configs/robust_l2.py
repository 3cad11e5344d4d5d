"""robust.py with attacks of L2 radius 2.0 in training, in place of L-infinity 0.3.

Several steps throughout: one step of the gradient's own direction is a weaker attack in L2 than one of its sign in L-infinity.
No squash: an L2 budget takes pixels across its threshold, at 0.25 a pixel where the change itself would cost 1.
Six passes, about an hour on two CPU cores.

python -m madvae_tf.train --loss=robust --config=configs/robust_l2.py --workdir=runs/quick
"""

import dataclasses

from configs import robust
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base = robust.get_config()
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
            attack_steps=2,
            late_attack_steps=4,
        ),
        robustness=dataclasses.replace(base.robustness, linf=(), l2=(1.5, 2.0, 4.0)),
    )
