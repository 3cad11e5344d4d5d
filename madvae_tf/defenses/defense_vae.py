"""Defense-VAE end to end (Li & Ji 2018, E2E): the classifier is fine-tuned on what the purifier
gives it.

The purifier is that of "defense_vae" (REC), frozen. It purifies the attacked training images as
they come; the classifier goes on from its weights and minimises the cross-entropy on them, so that
it learns what purified images look like.
"""

import dataclasses
import functools
import shutil
from pathlib import Path
from typing import ClassVar

import keras

from madvae_tf.config.parameters import parameter
from madvae_tf.data.batches import in_order
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras, save_float32
from madvae_tf.defenses.purifier import load_purifier
from madvae_tf.models.copies import in_precision
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.training.classifier import ClassifierTrainer
from madvae_tf.training.scaffold import train_on_rows
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import written

_REC = "defense_vae"


class PurifiedTrainer(ClassifierTrainer):
    """Trains `classifier` on purified images, with its dropout and without shifts.

    Batches are dicts {"x_adv": float32 (batch, 28, 28, 1) in [0, 1], "label": int64 (batch,)}.

    Args:
        classifier: see `ClassifierTrainer`.
        purifier: frozen; images -> images.
        seed: folded into the dropout.
    """

    def __init__(self, classifier: keras.Model, purifier: keras.Model, seed: int, **kwargs):
        super().__init__(classifier, 0, seed, **kwargs)
        purifier.trainable = False
        # Held in a partial, the frozen purifier joins neither the weights nor the checkpoints.
        self._purify = functools.partial(purifier)

    def train_step(self, data):
        return super().train_step(self._purified(data))

    def test_step(self, data):
        return super().test_step(self._purified(data))

    def _purified(self, data):
        return {"x": self._purify(data["x_adv"]), "label": data["label"]}


def finetune(
    classifier: keras.Model,
    purifier: keras.Model,
    inputs: TrainingInputs,
    folder: Path,
    epochs: int,
    batch_size: int,
    learning_rate: float,
) -> keras.Model:
    """Fine-tunes a copy of `classifier` on the purified pairs of `inputs`, by Adam at a constant
    rate.

    Args:
        classifier, purifier: float32 models; copies of them compute in `inputs.precision`.
        folder: gets `classifier.keras` (float32), `log.csv` and `tensorboard/`.

    Returns:
        The fine-tuned classifier, float32, frozen.
    """

    def build(total: int) -> PurifiedTrainer:
        tuned, frozen = (
            in_precision(model, inputs.precision, trainable=True)
            for model in (classifier, purifier)
        )
        trainer = PurifiedTrainer(tuned, frozen, inputs.seed)
        trainer.compile(optimizer=keras.optimizers.Adam(learning_rate))
        return trainer

    trainer, _ = train_on_rows(
        build,
        inputs.pairs,
        EndToEnd.name,
        batch_size=batch_size,
        epochs=epochs,
        seed=inputs.seed,
        folder=folder,
        checkpoints=inputs.scratch / "checkpoints",
        validation=in_order(inputs.validation_pairs, 500),
    )
    return save_float32(trainer.classifier, folder / "classifier.keras")


@dataclasses.dataclass(frozen=True)
class EndToEnd(Defense):
    """The purifier of "defense_vae" with a classifier fine-tuned to it."""

    name: ClassVar[str] = "defense_vae_e2e"
    requires: ClassVar[tuple[str, ...]] = (_REC,)
    epochs: int = parameter(2, minimum=1)
    batch_size: int = parameter(128, minimum=1)
    learning_rate: float = parameter(1e-4, open_minimum=True)

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `purifier.keras` (a copy), `classifier.keras` (float32), `log.csv` and
        `tensorboard/`.

        Raises:
            UserError: "defense_vae" is not among `inputs.trained`.
        """
        if _REC not in inputs.trained:
            raise UserError(
                f"Invalid trained defences for {self.name}: received {sorted(inputs.trained)},"
                f" expected {_REC!r} among them; train {_REC!r} first."
            )
        source, path = inputs.trained[_REC] / "purifier.keras", folder / "purifier.keras"
        with written(path) as partial:
            shutil.copyfile(source, partial)
        finetune(
            inputs.classifier,
            load_keras(path),
            inputs,
            folder,
            self.epochs,
            self.batch_size,
            self.learning_rate,
        )

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """The purifier and the classifier in `folder`; `classifier` has no part in it."""
        return load_purifier(folder, load_keras(folder / "classifier.keras"))
