"""quick.py with the variant `robust` trained for about an hour and a half on two CPU cores; everything else comes from a run of quick.py.

Sixteen passes over the training images, shifted by up to a pixel, since what is learnt by heart of the training images holds on no others.
The last five passes are attacked in three steps: one step alone can be overfitted, which only an
attack of several steps shows. What is saved is an average of the weights.

python -m madvae_tf.train --loss=robust --config=configs/robust.py --workdir=runs/quick        (the training alone)
python -m pipeline.run --config=configs/robust.py --workdir=runs/quick --stage=all             (evaluation, report, exports)
"""

import dataclasses

from configs import quick
from madvae_tf.config import Config, RobustConfig


def get_config() -> Config:
    """See the module's docstring."""
    base = quick.get_config()
    return dataclasses.replace(
        base,
        name="robust",
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
