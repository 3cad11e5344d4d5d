"""Training of one purifier, from pairs to a saved model: what every row of VARIANTS shares."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from madvae_tf.data.batches import Rows, in_order
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.callbacks import PurifierPictures
from madvae_tf.training.classifier import classifier_in
from madvae_tf.training.defense import DefenseTrainer
from madvae_tf.training.loop import evaluate_steps
from madvae_tf.training.optimizers import FusedAdam
from madvae_tf.training.replicas import exponential_decay
from madvae_tf.training.scaffold import batches_of, train_on_rows


@dataclasses.dataclass(frozen=True)
class PurifierSettings:
    """How a purifier is trained.

    Attributes:
        title: for the progress bar.
        weights: term of `losses.TERMS` -> weight.
        first_epoch: epochs that came before (a warm-up's): the order of the pairs and the noise go
            on from there.
        latent_size, latent_scale, initial_deviation, width: of `DefenseVAE`.
        epochs, batch_size, learning_rate, final_learning_rate: Adam, exponential decay.
        clip_norm, max_shift, reduction: of `DefenseTrainer`.
        epoch_steps: the length of an epoch; 0: as many batches as the pairs fill. Shorter ones see
            other pairs each.
        fused_adam: `FusedAdam` in the place of Keras' Adam.
        precision: a Keras dtype policy.
        checkpoint_steps, image_steps: steps between checkpoints, and between TensorBoard's
            pictures.
    """

    title: str
    weights: Mapping[str, float]
    latent_size: int
    epochs: int
    batch_size: int
    learning_rate: float
    final_learning_rate: float
    clip_norm: float
    precision: str
    checkpoint_steps: int
    image_steps: int
    seed: int
    first_epoch: int = 0
    max_shift: int = 0
    reduction: str = "elbo"
    latent_scale: str = "log_variance"
    initial_deviation: float = 0.0
    epoch_steps: int = 0
    fused_adam: bool = False
    width: float = 1.0


def fit_purifier(
    settings: PurifierSettings,
    pairs: Rows,
    validation: Rows,
    classifier: Any,
    classifier_name: str,
    start_from: DefenseVAE | None,
    folder: Path,
    scratch: Path,
) -> dict[str, float | int]:
    """Trains a purifier and writes `purifier.keras`, `centers.npy` (where it has centres),
    `log.csv` and `tensorboard/`.

    Args:
        pairs, validation: rows with the fields x_adv, x, label.
        classifier: frozen, float32; a copy computes in the training's precision.
        classifier_name: its name in `CLASSIFIERS`; "" for a `ExternalClassifier`.
        start_from: the weights to begin with, or None for new ones.
        folder: where the files go.
        scratch: where the checkpoints are; a killed run goes on from there and ends with the same
            weights.

    Returns:
        pairs, steps, batch_size, and the last epoch's validation accuracy of the classifier on
        purified images.
    """
    shape = (settings.latent_size, settings.latent_scale, settings.initial_deviation)
    own = {"image_shape": pairs.image_shape, "width": settings.width}

    def build(total: int) -> DefenseTrainer:
        frozen = classifier_in(settings.precision, classifier, classifier_name)
        purifier = DefenseVAE(*shape, **own, dtype=settings.precision)
        if start_from is not None:
            purifier.set_weights(start_from.get_weights())
        trainer = DefenseTrainer(
            purifier,
            frozen,
            settings.weights,
            settings.seed + settings.first_epoch,
            settings.clip_norm,
            settings.max_shift,
            settings.reduction,
        )
        schedule = exponential_decay(settings.learning_rate, settings.final_learning_rate, total)
        adam = FusedAdam if settings.fused_adam else keras.optimizers.Adam
        trainer.compile(optimizer=adam(schedule))  # pyright: ignore[reportArgumentType]
        return trainer

    x_adv, clean, _ = validation.batch(np.linspace(0, len(validation) - 1, 8).astype(int))
    pictures = PurifierPictures(folder, {"x_adv": x_adv, "x": clean}, settings.image_steps)
    watched = in_order(validation, 500)
    trainer, latest = train_on_rows(
        build,
        pairs,
        f"purifier {settings.title}",
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        seed=settings.seed,
        folder=folder,
        checkpoints=scratch / "checkpoints",
        validation=watched,
        callbacks=lambda trainer: [pictures],
        epoch_steps=settings.epoch_steps,
        first_epoch=settings.first_epoch,
        checkpoint_steps=settings.checkpoint_steps,
    )
    final = DefenseVAE(*shape, **own)
    final.set_weights(trainer.purifier.get_weights())
    final.save(folder / "purifier.keras")
    if trainer.centers is not None:
        np.save(folder / "centers.npy", np.asarray(trainer.centers))
    # A run that was killed after its last epoch has not validated in this process.
    accuracy = (latest or evaluate_steps(trainer, watched))["accuracy"]
    batch_size, steps = batches_of(pairs, settings.batch_size, settings.epoch_steps)
    return {
        "pairs": len(pairs),
        "steps": steps * settings.epochs,
        "batch_size": batch_size,
        "validation_accuracy": accuracy,
    }
