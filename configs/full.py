"""Every experiment of the paper and the defences beside it, at the size of quick.py and from the
artifacts that it made.

In parts, each resumable and each saying what it may cost before it starts:

    python -m pipeline.run --config=configs/full.py --workdir=runs/quick --stage=baseline      (or vae, reference, ...)
    python -m pipeline.run --config=configs/full.py --workdir=runs/quick --stage=all

Hours on two CPU cores. Sizes that are below the authors' own are named here; the report prints
them.
"""  # noqa: E501

import dataclasses

from configs import quick
from madvae_tf.config import (
    BaselinesConfig,
    BlackBoxConfig,
    ClustersConfig,
    Config,
    ReferenceConfig,
    TuneConfig,
    VaeConfig,
)


def get_config() -> Config:
    """See the module's docstring."""
    base = quick.get_config()
    return dataclasses.replace(
        base,
        name="full",
        # The paper's; `robust` has experiments of its own, in robustness.py.
        vae=dataclasses.replace(base.vae, variants=VaeConfig().variants),
        seeds=(0, 1, 2),
        baselines=BaselinesConfig(
            names=(
                *("identity", "defense_vae", "defense_vae_e2e", "mixture", "binarization", "blur"),
                *("adversarial_fgsm", "adversarial_pgd", "magnet", "defense_gan", "mad_gan"),
            ),
            identity_epochs=2,
            defense_vae_epochs=5,
            finetune_epochs=2,
            adversarial_fgsm_epochs=6,
            adversarial_pgd_epochs=4,
            magnet_epochs=10,
            magnet_learning_rate=1e-2,
            gan_iterations=2000,
            gan_width=32,
            gan_critic_steps=2,
            gan_learning_rate=3e-4,
            gan_steps=50,
            gan_restarts=10,
            gan_images=200,
            time=True,
        ),
        black_box=BlackBoxConfig(
            substitutes=("A", "B", "C", "D", "E"), epochs=(8, 10, 16, 60, 20), extraction_epochs=3
        ),
        clusters=ClustersConfig(images=3000),
        reference=ReferenceConfig(
            settings=(
                *(
                    "ours",
                    "mean_losses",
                    "linear_scale",
                    "batch_512",
                    "no_clean_images",
                    "slow_decay",
                ),
                "reference",
            ),
            epochs=2,
        ),
        tune=TuneConfig(trials=10, images=9600),
    )
