"""The default: every cell of the main table at a size that two CPU cores finish in under 20
minutes.

Chosen on validation images. CW images are the costliest to make and the hardest to purify: they are
two thirds of the pairs, and the pairs are few and seen six and a half times. The variants share the
first six of these epochs.

The variant `robust` learns from 57,600 images attacked as it learns, which are some minutes of the
whole;
--set=vae.variants=vanilla,cls,pd,combined leaves it out, and robust.py trains it for as long as it
  needs.

Attackers who know of the defence attack the classifier and every variant: PGD and APGD on 100 test
images. What falls leaves at once, so that only `robust` takes minutes; robustness.py has all other
attacks.
"""

from madvae_tf.config import (
    AttackConfig,
    ClassifierConfig,
    Config,
    RobustConfig,
    RobustnessConfig,
    VaeConfig,
)


def get_config() -> Config:
    """See the module's docstring."""
    return Config(
        name="quick",
        classifier=ClassifierConfig(epochs=4),
        attack=AttackConfig(
            train_images=900,
            train_cw_images=5600,
            train_clean_images=3400,
            validation_images=1000,
            validation_cw_images=500,
            test_images=1000,
            test_clean_images=4000,
            cw_train_iterations=45,
            cw_train_search_steps=1,
            cw_train_learning_rate=0.22,
            cw_train_initial_const=3.0,
            cw_test_iterations=120,
            cw_test_search_steps=5,
            cw_learning_rate=0.1,
            cw_initial_const=3.0,
        ),
        vae=VaeConfig(
            variants=("vanilla", "cls", "pd", "combined", "robust"),
            warmup_epochs=6,
            epochs=1,
            epoch_steps=400,
            batch_size=32,
            checkpoint_steps=500,
            image_steps=1000,
            fused_adam=True,
        ),
        robust=RobustConfig(
            scale=30.0,
            epochs=3,
            epoch_steps=300,
            ramp_steps=450,
            validation_images=200,
            validation_steps=10,
        ),
        robustness=RobustnessConfig(
            defenses=("none", "variants"),
            images=100,
            threat_models=("end_to_end",),
            suites=("gradient",),
            restarts=1,
            sanity_images=0,
        ),
    )
