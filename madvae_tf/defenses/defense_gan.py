"""Defense-GAN (Samangouei et al. 2018), and the same with MAD-VAE's losses (section 4 of the
MAD-VAE paper).

A generator is trained on clean images; a purified image is the generated one that is nearest to the
input. `training.gan` says how MAD-VAE's losses, which need an encoder and labels, are read for a
generator.
"""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.config.parameters import parameter
from madvae_tf.data.batches import CleanImages
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.projection import project, starts
from madvae_tf.models.defended_model import DefendedModel, purified
from madvae_tf.models.gan import Critic, Generator
from madvae_tf.training.gan import GanTrainer, in_parts
from madvae_tf.training.scaffold import train_on_rows

# Generated digits that are kept to look at.
_SAMPLES = 100
_CHECKPOINT_STEPS = 200


@dataclasses.dataclass(frozen=True)
class DefenseGan(Defense):
    """WGAN-GP and projection. Defaults are the authors'.

    `iterations`, `width`, `batch_size`, `critic_steps`, `learning_rate` and `penalty` are of the
    training; `steps` (L), `restarts` (R), `projection_rate` and `momentum` of the projection.
    """

    name: ClassVar[str] = "defense_gan"
    iterations: int = parameter(200_000, minimum=1)
    width: int = parameter(64, minimum=1)
    latent_size: int = parameter(128, minimum=1)
    batch_size: int = parameter(50, minimum=1)
    critic_steps: int = parameter(5, minimum=1)
    learning_rate: float = parameter(1e-4, open_minimum=True)
    penalty: float = parameter(10.0)
    steps: int = parameter(200, minimum=1)
    restarts: int = parameter(10, minimum=1)
    projection_rate: float = parameter(10.0, open_minimum=True)
    momentum: float = parameter(0.7, maximum=1.0)

    @property
    def loss_weights(self) -> dict[str, float]:
        """Term of `losses.TERMS` -> weight, beside the adversarial game: none."""
        return {}

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `generator.keras`, `centers.npy` and `spreads.npy` (where latents have classes),
        `samples.npy`, `log.csv`.
        """
        images = CleanImages(inputs.train)
        batch_size = min(
            self.critic_steps * self.batch_size,
            len(images) // self.critic_steps * self.critic_steps,
        )
        adam = functools.partial(keras.optimizers.Adam, self.learning_rate, beta_1=0.5, beta_2=0.9)

        def build(total: int) -> GanTrainer:
            # The gradient penalty is a second derivative: float32 throughout.
            return GanTrainer(
                Generator(self.latent_size, self.width, images.image_shape),
                Critic(self.width, images.image_shape),
                adam(),
                adam(),
                self.critic_steps,
                self.penalty,
                inputs.seed,
                self.loss_weights,
                inputs.classifier,
            )

        trainer, _ = train_on_rows(
            build,
            images,
            self.name.replace("_", " "),
            batch_size=batch_size,
            epochs=1,
            seed=inputs.seed,
            folder=folder,
            checkpoints=inputs.scratch / "checkpoints",
            epoch_steps=self.iterations,
            checkpoint_steps=_CHECKPOINT_STEPS,
            parts=lambda dataset, replicas: in_parts(dataset, self.critic_steps, replicas),
        )
        generator = trainer.generator
        if trainer.centers is not None and trainer.log_spreads is not None:
            np.save(folder / "centers.npy", np.asarray(trainer.centers))
            np.save(folder / "spreads.npy", np.exp(np.asarray(trainer.log_spreads)))
        label = tf.range(_SAMPLES, dtype=tf.int64) % max(1, trainer.num_classes)
        noise = tf.random.stateless_normal(
            (_SAMPLES, self.latent_size), (inputs.seed, 0), alg="philox"
        )
        np.save(folder / "samples.npy", generator(trainer.latents(label, noise)).numpy())
        generator.save(folder / "generator.keras")

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """Projects, then classifies; deterministic: the starts are drawn from a fixed seed."""
        generator = load_keras(folder / "generator.keras")
        centers, spreads = (
            (
                tf.constant(np.load(folder / name, allow_pickle=False))
                if (folder / name).exists()
                else None
            )
            for name in ("centers.npy", "spreads.npy")
        )
        first = starts(self.latent_size, self.restarts, 0, centers, spreads)

        def nearest(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return project(
                generator,
                tf.convert_to_tensor(images),
                first,
                self.steps,
                self.projection_rate,
                self.momentum,
            )

        # Named, not two lambdas in one statement: TensorFlow cannot tell those apart and does not
        # compile them.
        def purify(images: tf.Tensor) -> tf.Tensor:
            return nearest(images)[0]

        def encode(images: tf.Tensor) -> tf.Tensor:
            return nearest(images)[1]

        return purified(
            classifier, purify, encode=encode, decode=generator, range_logits=classifier
        )


@dataclasses.dataclass(frozen=True)
class MadGan(DefenseGan):
    """Defense-GAN with the classification and the proximity and distance losses; weights as in
    `VaeConfig`.
    """

    name: ClassVar[str] = "mad_gan"
    alpha: float = parameter(0.1)
    beta: float = parameter(0.1)
    proximity: float = parameter(0.01)
    sigma: float = parameter(1e-5)

    @property
    def loss_weights(self) -> dict[str, float]:
        return {
            "kl": self.beta,
            "classification": self.alpha,
            "proximity": self.proximity,
            "distance": self.sigma,
        }
