"""quick.py with `robust` as the weights of docs/weights/mnist-robust were trained: Table 5 behind a
squash, end to end, in about an hour and a half on two CPU cores.

Sixteen passes over the training images, shifted by up to a pixel, since what is learnt by heart of
the training images holds on no others. The last five passes are attacked in three steps: one step
alone can be overfitted, which only an attack of several steps shows. What is saved is an average of
the weights.

python -m madvae_tf.train --loss=robust --config=configs/robust_table5.py --workdir=runs/table5
"""

import dataclasses

from configs import quick
from madvae_tf.config import Config, RobustConfig


def get_config() -> Config:
    """See the module's docstring."""
    return dataclasses.replace(
        quick.get_config(),
        name="robust_table5",
        robust=RobustConfig(
            scale=30.0,
            classification=1.0,
            max_shift=1,
            epochs=16,
            late_attack_steps=3,
            late_from=0.7,
            average=0.999,
        ),
    )
