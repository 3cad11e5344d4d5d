"""Adversarial training as a defence: another classifier in the place of the undefended one, trained
on attacks on itself.

"adversarial_fgsm" (Goodfellow et al. 2014) attacks half of every batch by one step and leaves the
other half clean, as their objective does; the step starts at a random point and is 1.25 epsilon
long (Wong et al. 2020), or training would overfit to the one step. "adversarial_pgd" (Madry et al.
2017) attacks all images by several steps. `training.adversarial` says how.
"""

import abc
import dataclasses
import functools
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np

from madvae_tf.config.parameters import parameter
from madvae_tf.data.batches import CleanImages, in_order
from madvae_tf.data.generate import draw_rows
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras, save_float32
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.models.inference import num_classes_of
from madvae_tf.training.adversarial import AdversarialTrainer
from madvae_tf.training.classifier import build_classifier
from madvae_tf.training.replicas import exponential_decay
from madvae_tf.training.scaffold import train_on_rows

# Attacking all of them after every epoch would take a tenth of the training.
_VALIDATION_IMAGES = 1000


@dataclasses.dataclass(frozen=True)
class AdversarialTraining(Defense, abc.ABC):
    """Base of the two: they differ in their defaults.

    Fields:
        epochs, batch_size, learning_rate, final_learning_rate: Adam with exponential decay.
        epsilon: L-infinity radius of the attack, on [0, 1] images.
        steps, step_size: of the attack, each projected on the ball.
        warmup: the part of the training over which epsilon and the step size grow linearly to their
            values.
        half_clean: every other image of a batch is left as it is.
        train_images: how many training images, drawn from the seed; 0 for all.
        dropout: rate while training.
    """

    epochs: int = parameter(40, minimum=1)
    batch_size: int = parameter(128, minimum=1)
    learning_rate: float = parameter(2e-3, open_minimum=True)
    final_learning_rate: float = parameter(1e-4, open_minimum=True)
    epsilon: float = parameter(0.3, maximum=1.0)
    steps: int = parameter(7, minimum=1)
    step_size: float = parameter(0.1, maximum=1.0, open_minimum=True)
    warmup: float = parameter(0.25, maximum=1.0)
    half_clean: bool = parameter(False)
    train_images: int = parameter(0)
    dropout: float = parameter(0.0, maximum=0.9)

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `classifier.keras` (float32), `log.csv` and `tensorboard/`; validation is on 1,000
        images.
        """
        rows = draw_rows(len(inputs.train), self.train_images, inputs.seed, 1)
        images = CleanImages(inputs.train, rows)
        data = (images.image_shape, num_classes_of(inputs.classifier, images.image_shape))

        def build(total: int) -> AdversarialTrainer:
            classifier = build_classifier(
                inputs.classifier_name, self.dropout, inputs.precision, *data
            )
            trainer = AdversarialTrainer(
                classifier,
                self.epsilon,
                self.steps,
                self.step_size,
                round(self.warmup * total),
                self.half_clean,
                inputs.seed,
            )
            schedule = exponential_decay(self.learning_rate, self.final_learning_rate, total)
            trainer.compile(optimizer=keras.optimizers.Adam(schedule))  # pyright: ignore[reportArgumentType]
            return trainer

        watched = np.arange(min(_VALIDATION_IMAGES, len(inputs.validation)))
        trainer, _ = train_on_rows(
            build,
            images,
            self.name,
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=inputs.seed,
            folder=folder,
            checkpoints=inputs.scratch / "checkpoints",
            validation=in_order(CleanImages(inputs.validation, watched), 500),
        )
        save_float32(trainer.classifier, folder / "classifier.keras")

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """The classifier in `folder`; `classifier` has no part in it."""
        return DefendedModel(
            logits=functools.partial(load_keras(folder / "classifier.keras"), training=False)
        )


@dataclasses.dataclass(frozen=True)
class AdversarialFGSM(AdversarialTraining):
    """One step of 1.25 epsilon from a random start, on half of the images."""

    name: ClassVar[str] = "adversarial_fgsm"
    epochs: int = parameter(10, minimum=1)
    steps: int = parameter(1, minimum=1)
    step_size: float = parameter(0.375, maximum=1.0, open_minimum=True)
    half_clean: bool = parameter(True)


@dataclasses.dataclass(frozen=True)
class AdversarialPGD(AdversarialTraining):
    """Seven steps of a third of epsilon from a random start, on all images."""

    name: ClassVar[str] = "adversarial_pgd"
