"""The paper's scale: 540,000 adversarial pairs (9 settings x 60,000) and clean images, ten epochs,
all test images.

With 5,000 training images held out for validation there are 9 x 55,000 adversarial pairs; the
released code trains on all 60,000 and so has no images to validate on. The baselines have their
authors' sizes. Days on two CPU cores; a GPU is the machine for it.
"""

from madvae_tf.config import (
    AttackConfig,
    BaselinesConfig,
    BlackBoxConfig,
    ClassifierConfig,
    ClustersConfig,
    Config,
    VaeConfig,
)


def get_config() -> Config:
    """See the module's docstring."""
    return Config(
        name="paper",
        classifier=ClassifierConfig(epochs=12),
        attack=AttackConfig(test_images=0, validation_images=0, validation_cw_images=0),
        vae=VaeConfig(epochs=10, batch_size=512),
        baselines=BaselinesConfig(
            names=(
                *("identity", "defense_vae", "defense_vae_e2e", "mixture", "binarization", "blur"),
                *("adversarial_fgsm", "adversarial_pgd", "magnet", "defense_gan", "mad_gan"),
            )
        ),
        black_box=BlackBoxConfig(
            substitutes=("A", "B", "C", "D", "E"), epochs=(20, 20, 20, 40, 40)
        ),
        clusters=ClustersConfig(images=10_000),
    )
