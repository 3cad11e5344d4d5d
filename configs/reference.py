"""The released code's settings, as far as this project's parts have them: the paper's scale with
its losses and schedule.

Mean losses per pixel and per latent dimension, the encoder's linear output as the latent deviation,
batches of 512, no clean images, alpha 0.1, a learning rate that falls by 0.998 an epoch. Its metric
is the agreement of every table. What each of these costs is measured small by the section
`reference` of full.py. Days on two CPU cores, like paper.py.
"""

import dataclasses

from configs import paper
from madvae_tf.config import BaselinesConfig, BlackBoxConfig, ClustersConfig, Config


def get_config() -> Config:
    """See the module's docstring."""
    base = paper.get_config()
    return dataclasses.replace(
        base,
        name="reference",
        baselines=BaselinesConfig(names=()),
        black_box=BlackBoxConfig(),
        clusters=ClustersConfig(),
        attack=dataclasses.replace(
            base.attack, train_clean=False, validation_epsilon=0.25, validation_confidence=5.0
        ),
        vae=dataclasses.replace(
            base.vae,
            reduction="mean",
            latent_scale="linear",
            batch_size=512,
            epochs=10,
            final_learning_rate=base.vae.learning_rate * 0.998**10,
        ),
    )
