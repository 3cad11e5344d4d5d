"""robust_table5.py on Fashion-MNIST, at L-infinity 0.1; the classifier is fashion.py's, and the
workdir may be its own.

No squash: it parts light from dark, which is what MNIST's digits are made of and clothes are not.
Five to eight steps of
the inner attack, ever shorter: fewer, or steps of one length, are soon overfitted. Six passes,
about an hour and a half on two CPU cores.

python -m madvae_tf.train --loss=robust --config=configs/robust_fashion.py --workdir=runs/fashion
"""

import dataclasses

from configs import fashion, robust_table5
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base, ours = fashion.get_config(), robust_table5.get_config()
    return dataclasses.replace(
        ours,
        name="robust_fashion",
        data=base.data,
        classifier=base.classifier,
        robust=dataclasses.replace(
            ours.robust,
            epsilon=0.1,
            start_epsilon=0.02,
            scale=0.0,
            epochs=6,
            attack_steps=5,
            late_attack_steps=8,
            late_from=0.6,
            decaying_steps=True,
        ),
        robustness=dataclasses.replace(ours.robustness, linf=(0.1,)),
    )
