"""The whole pipeline on a few hundred images, in about two minutes: for tests. Its figures mean nothing."""

from madvae_tf.config import AttackConfig, ClassifierConfig, Config, VaeConfig


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
        vae=VaeConfig(warmup_epochs=1, epochs=1, batch_size=32, checkpoint_steps=20, image_steps=20),
    )
