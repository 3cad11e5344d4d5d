"""robust.py on Fashion-MNIST, at L-infinity 0.1; the classifier is fashion.py's, and the workdir may be its own.

No squash: it parts light from dark, which is what MNIST's digits are made of and clothes are not. Two steps of the inner attack from
the start: after training against one, three took another 5% of the training images. Six passes, about an hour on two CPU cores.

python -m madvae_tf.train --loss=robust --config=configs/robust_fashion.py --workdir=runs/fashion
"""

import dataclasses

from configs import fashion, robust
from madvae_tf.config import Config


def get_config() -> Config:
    """See the module's docstring."""
    base, ours = fashion.get_config(), robust.get_config()
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
            attack_steps=2,
            late_attack_steps=4,
        ),
        robustness=dataclasses.replace(ours.robustness, linf=(0.1,)),
    )
