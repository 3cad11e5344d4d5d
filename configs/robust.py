"""quick.py with the variant `robust` trained for about an hour on two CPU cores; everything else
comes from a run of quick.py.

Two stages. First a small encoder learns robust features: twenty passes over the training images,
shifted by up to a pixel, attacked through a linear classifier on it in four steps that grow
shorter, within 0.4, since what withstands more than 0.3 withstands 0.3 better. Then it stands
still, and Table 5's decoder learns from two passes to draw what the features say. What is saved is
an average of the weights.

python -m madvae_tf.train --loss=robust --config=configs/robust.py --workdir=runs/quick        (the training alone)
python -m pipeline.run --config=configs/robust.py --workdir=runs/quick --stage=all             (evaluation, report, exports)
"""  # noqa: E501

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
            encoder="vgg",
            encoder_epochs=20,
            epochs=2,
            batch_size=128,
            radius_ratio=4 / 3,
            ramp_steps=600,
            attack_steps=4,
            late_attack_steps=4,
            step_ratio=0.6,
            decaying_steps=True,
            classification=1.0,
            max_shift=1,
            average=0.999,
        ),
    )
