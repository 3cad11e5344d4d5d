"""robust.py's variants and classifier, and two baselines, against attackers who know of the
defence, at the standard numbers.

It takes hours, in parts:

    python -m pipeline.run --config=configs/robustness.py --workdir=runs/quick --stage=robustness
    python -m pipeline.run --config=configs/robustness.py --workdir=runs/quick --stage=report

It takes quick.py's and robust.py's artifacts when it gets their workdir. AutoAttack's standard
numbers, 1,000 test images drawn from all, L-infinity
0.3 and L2 1.5, 2 and 4.
"""

import dataclasses

from configs import robust
from madvae_tf.config import Config, RobustnessConfig


def get_config() -> Config:
    """See the module's docstring."""
    return dataclasses.replace(
        robust.get_config(),
        name="robustness",
        robustness=RobustnessConfig(
            defenses=("none", "vanilla", "cls", "pd", "combined", "robust", "binarization", "blur"),
            l2=(1.5, 2.0, 4.0),
            suites=(
                *("gradient", "bpda", "bpda_squash", "crossing"),
                *("eot", "latent", "overpowered", "autoattack"),
                *("joint", "score", "decision", "one_pixel", "natural"),
            ),
            detection_images=500,
            # Two in place of twenty: the search takes five looks at the system at each step, EOT
            # eight at each of its. EOT meets the images that the attacks on labels and on values
            # meet, so that some meet every attack.
            overpowered_restarts=2,
            overpowered_images=200,
            eot_images=100,
            # On images made without the system AutoAttack's sequence has no meaning of its own, and
            # it runs its whole budget: nobody falls.
            carried_suites=("gradient",),
        ),
    )
