"""A configuration with every kind of stage, as small as each can be: its figures mean nothing."""

from madvae_tf.config import (
    AttackConfig,
    BaselinesConfig,
    BlackBoxConfig,
    ClassifierConfig,
    ClustersConfig,
    Config,
    DataConfig,
    ReferenceConfig,
    RobustConfig,
    RobustnessConfig,
    TuneConfig,
    VaeConfig,
)


def get_config() -> Config:
    """See the module's docstring."""
    return Config(
        name="faults",
        data=DataConfig(validation_images=100),
        classifier=ClassifierConfig(train_images=96, epochs=2, batch_size=16, checkpoint_steps=3),
        attack=AttackConfig(
            train_epsilons=(0.3,),
            train_confidences=(5.0,),
            train_images=30,
            train_cw_images=30,
            train_clean_images=30,
            validation_images=20,
            validation_cw_images=10,
            test_images=30,
            test_clean_images=60,
            test_attacks=("fgsm", "rand_fgsm", "cw", "pgd"),
            steps=3,
            step_size=0.1,
            cw_train_iterations=5,
            cw_train_search_steps=1,
            cw_train_learning_rate=0.1,
            cw_train_initial_const=10.0,
            cw_test_iterations=10,
            cw_test_search_steps=1,
            cw_learning_rate=0.1,
            cw_initial_const=10.0,
            batch_size=10,
            shard_size=10,
        ),
        vae=VaeConfig(
            variants=("vanilla", "combined", "robust"),
            latent_size=16,
            epochs=2,
            batch_size=10,
            checkpoint_steps=4,
            image_steps=10,
        ),
        robust=RobustConfig(
            epochs=1, epoch_steps=4, ramp_steps=2, scale=10.0, validation_images=10, validation_steps=2
        ),
        baselines=BaselinesConfig(names=("identity",), identity_epochs=1, time=True),
        black_box=BlackBoxConfig(substitutes=("D",), epochs=(1, 1, 1, 1, 1), extract=False),
        clusters=ClustersConfig(images=30, neighbors=3),
        reference=ReferenceConfig(settings=("mean_losses",), epochs=1),
        robustness=RobustnessConfig(
            defenses=("combined",),
            images=8,
            threat_models=("end_to_end",),
            suites=("gradient",),
            iterations=3,
            restarts=1,
            sanity_images=0,
            batch_size=8,
        ),
        tune=TuneConfig(trials=1, images=30),
    )
