"""The whole pipeline with a part of every experiment on a few hundred images, in minutes: for
tests. Its figures mean nothing.
"""

from madvae_tf.config import (
    AttackConfig,
    BaselinesConfig,
    BlackBoxConfig,
    ClassifierConfig,
    ClustersConfig,
    Config,
    ReferenceConfig,
    RobustnessConfig,
    TuneConfig,
    VaeConfig,
)


def get_config() -> Config:
    """See the module's docstring."""
    return Config(
        name="smoke",
        classifier=ClassifierConfig(train_images=2000, epochs=3, checkpoint_steps=20),
        attack=AttackConfig(
            train_images=100,
            train_cw_images=50,
            train_clean_images=100,
            validation_images=100,
            validation_cw_images=50,
            test_images=100,
            test_clean_images=200,
            cw_train_iterations=20,
            cw_train_search_steps=1,
            cw_train_learning_rate=0.1,
            cw_train_initial_const=10.0,
            cw_test_iterations=20,
            cw_test_search_steps=2,
            cw_learning_rate=0.1,
            cw_initial_const=10.0,
            batch_size=50,
            shard_size=100,
        ),
        baselines=BaselinesConfig(
            names=("binarization", "magnet", "defense_vae", "defense_vae_e2e", "defense_gan"),
            defense_vae_epochs=1,
            finetune_epochs=1,
            magnet_epochs=1,
            gan_iterations=5,
            gan_width=8,
            gan_critic_steps=2,
            gan_steps=5,
            gan_restarts=2,
            gan_images=20,
            time=True,
        ),
        black_box=BlackBoxConfig(
            substitutes=("D",),
            epochs=(1, 1, 1, 2, 2),
            seed_images=50,
            rounds=2,
            extraction_epochs=2,
        ),
        clusters=ClustersConfig(images=90),
        reference=ReferenceConfig(settings=("reference",), epochs=1),
        robustness=RobustnessConfig(
            defenses=("none", "vanilla"),
            images=8,
            linf=(),
            l2=(2.0,),
            suites=(
                *("gradient", "bpda", "eot", "latent", "overpowered", "autoattack"),
                *("joint", "score", "decision", "one_pixel", "natural"),
            ),
            decision_images=4,
            decision_queries=400,
            score_images=4,
            score_queries=40,
            joint_weights=(-0.1,),
            severities=(3,),
            detection_images=8,
            overpowered_iterations=2,
            overpowered_restarts=2,
            iterations=3,
            targets=1,
            queries=10,
            draws=2,
            sanity_images=8,
            batch_size=8,
        ),
        tune=TuneConfig(trials=2, images=96),
        vae=VaeConfig(
            warmup_epochs=1, epochs=1, batch_size=32, checkpoint_steps=20, image_steps=20
        ),
    )
