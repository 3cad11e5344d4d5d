"""The first useful picture in one to three minutes: one purifier, two attacks, a few hundred
images. Its figures mean little.
"""

import dataclasses

from configs import quick
from madvae_tf.config import BaselinesConfig, ClassifierConfig, Config, RobustnessConfig


def get_config() -> Config:
    """See the module's docstring."""
    base = quick.get_config()
    attack = dataclasses.replace(
        base.attack,
        train_epsilons=(0.3,),
        train_images=1500,
        train_cw_images=500,
        train_confidences=(10.0,),
        train_clean_images=1000,
        validation_images=100,
        validation_cw_images=50,
        test_attacks=("fgsm", "pgd"),
        test_images=200,
        test_clean_images=200,
    )
    vae = dataclasses.replace(
        base.vae, variants=("combined",), warmup_epochs=0, epochs=3, image_steps=1000
    )
    return dataclasses.replace(
        base,
        name="demo",
        seeds=(),
        classifier=ClassifierConfig(train_images=10_000, epochs=2),
        attack=attack,
        vae=vae,
        baselines=BaselinesConfig(names=()),
        # Its end says how to measure attackers who know of the purifier.
        robustness=RobustnessConfig(),
    )
