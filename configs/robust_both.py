"""robust_table5.py with a quarter of each batch attacked within L-infinity 0.3 and the rest within
L2 2.0: one purifier for both norms.

Its squash starts gentle: of an L-infinity change of 0.3 a steep one leaves little, but it makes
more of an L2 budget, which takes pixels across its threshold. For that reason a third of what is
attacked in L2 is attacked as the attack `threshold_l2` does, the rest along the gradient: either
finds what the other does not.
Four to six steps that grow shorter: fewer, or steps of one length, are soon overfitted. Four
passes, more than an hour on two CPU cores.

python -m madvae_tf.train --loss=robust --config=configs/robust_both.py --workdir=runs/quick
"""

import dataclasses

from configs import robust_table5
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base = robust_table5.get_config()
    return dataclasses.replace(
        base,
        name="robust_both",
        robust=dataclasses.replace(
            base.robust,
            scale=6.0,
            norm="both",
            l2_epsilon=2.0,
            norm_mix="linf,l2,threshold_l2,l2",
            step_ratio=2.0,
            epochs=4,
            attack_steps=4,
            late_attack_steps=6,
            late_from=0.6,
            decaying_steps=True,
        ),
        robustness=dataclasses.replace(base.robustness, l2=(2.0,)),
    )
