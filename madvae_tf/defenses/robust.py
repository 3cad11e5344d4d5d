"""The variant `robust`: a purifier that learns from attacks on itself and the classifier together,
not from pairs made before.

What the paper's adversarial images cannot teach is what an attacker does who differentiates through
the purifier. The classifier stays as it is. With `encoder_epochs` the training has two stages: the
encoder learns robust features by adversarial training of a linear classifier on it
(`training.robust_encoder`), then stands still while Table 5's decoder learns to draw from them
(`training.robust`). Without, the whole purifier is trained end to end. A learnt squash
(`models.squash`) may stand before the encoder.
"""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from madvae_tf.config.parameters import invalid, parameter
from madvae_tf.config.robust import RobustParameters
from madvae_tf.config.variants import weights_of
from madvae_tf.data.batches import CleanImages, evenly_spaced, in_order
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras, save_float32
from madvae_tf.defenses.purifier import load_purifier
from madvae_tf.models.copies import in_precision
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.models.inference import num_classes_of
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.callbacks import AverageWeights, PurifierPictures
from madvae_tf.training.classifier import classifier_in
from madvae_tf.training.inner_attack import InnerAttack, late_start
from madvae_tf.training.loop import evaluate_steps
from madvae_tf.training.optimizers import FusedAdam
from madvae_tf.training.replicas import cosine_decay
from madvae_tf.training.robust import RobustTrainer
from madvae_tf.training.robust_encoder import EncoderClassifier, EncoderTrainer
from madvae_tf.training.scaffold import batches_of, train_on_rows
from madvae_tf.utils.files import write_json
from madvae_tf.utils.images import Shape, binary_share, nearly_binary


@dataclasses.dataclass(frozen=True)
class Robust(RobustParameters, Defense):
    """One robust purifier.

    `inputs.trained["start"]`, where it is there, holds the purifier that the training goes on from.
    """

    name: ClassVar[str] = "robust"
    latent_size: int = parameter(128, minimum=1)
    image_steps: int = parameter(500, minimum=1)
    seed: int = parameter(-1, minimum=-1)

    def __post_init__(self) -> None:
        super().__post_init__()
        for field, expected in self.inconsistencies():
            default = type(self).__dataclass_fields__[field].default
            raise invalid(self.name, field, getattr(self, field), expected, default)

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `purifier.keras` (float32), `metrics.json`, `log.csv` and `tensorboard/`; the
        encoder's stage has the last two in `encoder/`.

        The metrics hold the accuracy on clean and on attacked validation images, of the saved model
        in float32.
        """
        seed = self._seed(inputs)
        images = CleanImages(inputs.train)
        if self.scale and not nearly_binary(inputs.train.images):
            logging.warning(
                "The squash (scale %g) is for images that are nearly black and white, and only"
                " %.0f%% of these pixels are near 0 or 1: scale=0 leaves it out.",
                self.scale,
                100 * binary_share(inputs.train.images),
            )
        watched = evenly_spaced(len(inputs.validation), self.validation_images)
        validation = in_order(CleanImages(inputs.validation, watched), 250)
        shown = CleanImages(inputs.validation, watched).batch(np.arange(min(8, len(watched))))
        models: dict[str, Any] = {}
        encoder_classifier = None

        def begin() -> None:
            models["frozen"] = classifier_in(
                inputs.precision, inputs.classifier, inputs.classifier_name
            )
            models["purifier"] = self._beginning(inputs, images.image_shape)

        def build_encoder(total: int) -> EncoderTrainer:
            begin()
            classes = num_classes_of(models["frozen"], images.image_shape)
            return self._encoder_trainer(models["purifier"], classes, seed, total)

        def build(total: int) -> RobustTrainer:
            if not models:
                begin()
            attack = self._attack(total, encoder_classifier)
            trainer = self._trainer(
                models["purifier"], models["frozen"], seed, attack, self.average, encoder_classifier
            )
            trainer.compile(optimizer=self._optimizer(total))
            return trainer

        def callbacks(trainer: RobustTrainer) -> list[keras.callbacks.Callback]:
            return [
                AverageWeights(trainer.average, trainer.purifier, self.average),
                PurifierPictures(folder, lambda: _pictures(trainer, *shown), self.image_steps),
            ]

        shared: Any = {
            "batch_size": self.batch_size,
            "seed": seed,
            "validation": validation,
            "epoch_steps": self.epoch_steps,
        }
        if self.encoder_epochs:
            into = folder / "encoder"
            into.mkdir(exist_ok=True)
            encoder, _ = train_on_rows(
                build_encoder,
                images,
                f"{self.name} encoder",
                epochs=self.encoder_epochs,
                folder=into,
                checkpoints=inputs.scratch / "encoder-checkpoints",
                callbacks=lambda trainer: [
                    AverageWeights(trainer.average, trainer.classifier, self.average)
                ],
                **shared,
            )
            encoder_classifier = encoder.classifier
            encoder_classifier.set_weights(encoder.served.get_weights())
        trainer, _ = train_on_rows(
            build,
            images,
            self.name,
            epochs=self.epochs,
            folder=folder,
            checkpoints=inputs.scratch / "checkpoints",
            callbacks=callbacks,
            **shared,
        )
        batch_size, steps = batches_of(images, self.batch_size, self.epoch_steps)
        total = steps * self.epochs
        saved = save_float32(trainer.served, folder / "purifier.keras")
        metrics = {"images": total * batch_size, "steps": total, "batch_size": batch_size}
        if self.encoder_epochs:
            metrics["encoder_images"] = steps * self.encoder_epochs * batch_size
        write_json(folder / "metrics.json", metrics | self.measure(saved, inputs))

    def _seed(self, inputs: TrainingInputs) -> int:
        return inputs.seed if self.seed < 0 else self.seed

    def _optimizer(self, total: int) -> Any:
        schedule = cosine_decay(self.learning_rate, self.final_learning_rate, total)
        return FusedAdam(schedule)  # pyright: ignore[reportArgumentType]

    def _attack(
        self, total: int, encoder_classifier: EncoderClassifier | None = None
    ) -> InnerAttack:
        """The attack of a stage of `total` steps; on robust features, those of
        `encoder_classifier`, its radius need not grow.
        """
        own = [
            field.name for field in dataclasses.fields(InnerAttack) if field.name != "late_start"
        ]
        attack = InnerAttack(
            **{name: getattr(self, name) for name in own},
            late_start=late_start(total, self.late_from),
        )
        return attack if encoder_classifier is None else dataclasses.replace(attack, ramp_steps=0)

    def _beginning(self, inputs: TrainingInputs, image_shape: Shape) -> DefenseVAE:
        """What is trained: the start of `inputs`, in its precision, or one with initial weights."""
        if start := inputs.trained.get("start"):
            return in_precision(
                load_keras(start / "purifier.keras"), inputs.precision, trainable=True
            )
        return DefenseVAE(
            self.latent_size,
            squash_scale=self.scale,
            squash_center=self.center,
            image_shape=image_shape,
            encoder=self.encoder,
            width=self.width,
            dtype=inputs.precision,
        )

    def _encoder_trainer(
        self, purifier: DefenseVAE, classes: int, seed: int, total: int
    ) -> EncoderTrainer:
        """Of the first stage: it trains squash and encoder of `purifier`, and a linear classifier
        on them.
        """
        average = None
        if self.average:
            average = EncoderClassifier(type(purifier).from_config(purifier.get_config()), classes)
        trainer = EncoderTrainer(
            EncoderClassifier(purifier, classes),
            average,
            self._attack(total),
            seed,
            self.clip_norm,
            self.max_shift,
            self.validation_steps,
        )
        trainer.compile(optimizer=self._optimizer(total))
        return trainer

    def measure(self, purifier: DefenseVAE, inputs: TrainingInputs) -> dict[str, float | int]:
        """validation_images, validation_accuracy and validation_attacked_accuracy of a purifier, in
        float32.

        Attacked: `validation_steps` sign steps end to end at the full epsilon. Of `inputs` the
        validation images, the classifier and the seed are read.
        """
        watched = evenly_spaced(len(inputs.validation), self.validation_images)
        validation = in_order(CleanImages(inputs.validation, watched), 250)
        trainer = self._trainer(purifier, inputs.classifier, self._seed(inputs), self._attack(1))
        logs = evaluate_steps(trainer, validation)
        return {
            "validation_images": len(watched),
            "validation_accuracy": logs["accuracy"],
            "validation_attacked_accuracy": logs["attacked_accuracy"],
        }

    def _trainer(
        self,
        purifier: DefenseVAE,
        classifier: keras.Model,
        seed: int,
        attack: InnerAttack,
        average: float = 0.0,
        encoder_classifier: EncoderClassifier | None = None,
    ) -> RobustTrainer:
        weights = weights_of(
            self.name, {name: getattr(self, name) for name in ("beta", "classification")}
        ) | ({"consistency": self.consistency} if self.consistency else {})
        return RobustTrainer(
            purifier,
            classifier,
            weights,
            seed,
            attack,
            self.clip_norm,
            self.max_shift,
            average,
            self.validation_steps,
            encoder_classifier,
        )

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """Latent mean in, image out: deterministic."""
        return load_purifier(folder, classifier)


def _pictures(trainer: RobustTrainer, x: np.ndarray, label: np.ndarray) -> dict[str, np.ndarray]:
    """The images, and what one step against the purifier as it is makes of them."""
    given, labels, seed = tf.constant(x), tf.constant(label), tf.constant([trainer.seed, 0])
    x_adv = trainer.attacked(trainer.purifier, given, labels, trainer.attack.epsilon, 1, seed)
    return {"x": x, "x_adv": np.asarray(x_adv)}
