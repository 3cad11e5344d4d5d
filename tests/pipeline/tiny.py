"""The whole pipeline at the smallest size that has shards, checkpoints and every table: for the
end-to-end test.
"""

from madvae_tf.config import AttackConfig, ClassifierConfig, Config, DataConfig, VaeConfig


def get_config() -> Config:
    """See the module's docstring."""
    return Config(
        name="tiny",
        data=DataConfig(validation_images=500),
        classifier=ClassifierConfig(train_images=320, epochs=2, batch_size=32, checkpoint_steps=10),
        attack=AttackConfig(
            train_epsilons=(0.3,),
            train_confidences=(5.0,),
            train_images=60,
            train_cw_images=40,
            train_clean_images=40,
            validation_images=40,
            validation_cw_images=20,
            test_images=60,
            test_clean_images=100,
            steps=5,
            step_size=0.1,
            cw_train_iterations=5,
            cw_train_search_steps=1,
            cw_train_learning_rate=0.1,
            cw_train_initial_const=10.0,
            cw_test_iterations=20,
            cw_test_search_steps=2,
            cw_learning_rate=0.1,
            cw_initial_const=10.0,
            max_pixels=5,
            batch_size=20,
            shard_size=20,
        ),
        vae=VaeConfig(
            variants=("combined",), epochs=2, batch_size=16, checkpoint_steps=5, image_steps=10
        ),
    )
