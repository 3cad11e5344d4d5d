"""quick.py's variants, baselines and classifier against attackers who know of the defence, at the standard numbers; hours, in parts:

    python -m pipeline.run --config=configs/robustness.py --workdir=runs/quick --stage=robustness
    python -m pipeline.run --config=configs/robustness.py --workdir=runs/quick --stage=report

It takes quick.py's artifacts when it gets its workdir. AutoAttack's standard numbers, 1,000 test images drawn from all, L-infinity
0.3 and L2 1.5, 2 and 4.
"""

import dataclasses

from configs import quick
from madvae_tf.config import Config, RobustnessConfig


def get_config() -> Config:
    """See the module's docstring."""
    return dataclasses.replace(
        quick.get_config(),
        name="robustness",
        robustness=RobustnessConfig(
            defenses=("none", "vanilla", "cls", "pd", "combined", "binarization", "blur"),
            l2=(1.5, 2.0, 4.0),
            suites=(
                *("gradient", "bpda", "eot", "latent", "overpowered", "autoattack"),
                *("joint", "score", "decision", "one_pixel", "natural"),
            ),
            detection_images=500,
            # Two in place of twenty: the search takes five looks at the system at each step.
            overpowered_restarts=2,
        ),
    )
