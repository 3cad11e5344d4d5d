"""The default: every experiment of the main table at a size that two CPU cores finish in under 20 minutes."""

from madvae_tf.config import AttackConfig, Config, VaeConfig


def get_config() -> Config:
    """See the module's docstring."""
    return Config(
        name="quick",
        attack=AttackConfig(
            train_images=3500,
            train_cw_images=2500,
            train_clean_images=5500,
            validation_images=1000,
            validation_cw_images=250,
            test_images=1000,
            cw_train_iterations=50,
            cw_train_search_steps=1,
            cw_train_learning_rate=0.2,
            cw_train_initial_const=10.0,
            cw_test_iterations=60,
            cw_test_search_steps=3,
            cw_learning_rate=0.15,
            cw_initial_const=1.0,
        ),
        vae=VaeConfig(warmup_epochs=3, epochs=1, batch_size=32, checkpoint_steps=500),
    )
