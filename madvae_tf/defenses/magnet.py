"""MagNet (Meng & Chen 2017) for MNIST: two detectors refuse images far from the clean ones, a
reformer mends the rest.

    refused where  mean |x - AE_1(x)|^2 > t_1  or  mean |x - AE_2(x)| > t_2;  logits =
    classifier(AE_1(x))

AE_1 pools and is detector I and the reformer, AE_2 does not and is detector II (Table 2 of that
paper). Detector I measures the L2 and detector II the L1 error, as in the authors' published MNIST
setting; there it uses no detector on the classifier's divergence. A threshold lets all but
`drop_rate` of the clean validation images pass, counted for each detector.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import tensorflow as tf

from madvae_tf.config.parameters import parameter
from madvae_tf.data.batches import CleanImages, in_order
from madvae_tf.data.generate import draw_rows
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras, save_float32
from madvae_tf.models.defended_model import DefendedModel, purified
from madvae_tf.models.magnet import MagNetAutoencoder
from madvae_tf.training.autoencoder import AutoencoderTrainer
from madvae_tf.training.scaffold import train_on_rows
from madvae_tf.utils.files import write_json

Autoencoder = Callable[[tf.Tensor], tf.Tensor]

# Of detector I and detector II.
_EXPONENTS = (2, 1)
_FILES = ("autoencoder_1.keras", "autoencoder_2.keras")
_BATCH = 500


def reconstruction_error(autoencoder: Autoencoder, images: tf.Tensor, exponent: int) -> tf.Tensor:
    """mean |x - AE(x)|^exponent over the pixels: float32 (batch, height, width, channels) ->
    float32 (batch,).
    """
    return tf.reduce_mean(tf.abs(images - autoencoder(images)) ** exponent, axis=(1, 2, 3))


def threshold(errors: np.ndarray, drop_rate: float) -> float:
    """The error above which an image is refused: floor(drop_rate * n) of `errors`, float (n,), are
    above it.

    It lies midway between two of them, so that rounding elsewhere moves no image across; where none
    is to be above, it is the largest. Of equal errors at the border fewer may be above, never more.
    """
    ordered = np.sort(errors.astype(np.float64))
    # A product such as 0.29 * 100 comes out a hair below its integer.
    refused = int(drop_rate * len(ordered) + 1e-9)
    if refused == 0:
        return float(ordered[-1])
    kept = ordered[-refused - 1] if refused < len(ordered) else 0.0
    return float((kept + ordered[-refused]) / 2)


def detector(
    autoencoders: tuple[Autoencoder, Autoencoder], thresholds: tuple[float, float]
) -> Callable[[tf.Tensor], tf.Tensor]:
    """images -> bool (batch,), True where either detector refuses the image."""

    def detect(images: tf.Tensor) -> tf.Tensor:
        first, second = (
            reconstruction_error(autoencoder, images, exponent) > limit
            for autoencoder, exponent, limit in zip(
                autoencoders, _EXPONENTS, thresholds, strict=True
            )
        )
        return tf.logical_or(first, second)

    return detect


@dataclasses.dataclass(frozen=True)
class MagNet(Defense):
    """Two autoencoders, learnt from clean images under Gaussian noise; the defaults are the
    authors'.

    Fields:
        epochs, batch_size, learning_rate: Adam at a constant rate.
        noise: standard deviation of the noise; noisy images are clipped to [0, 1].
        drop_rate: the part of the clean validation images that each detector may refuse.
        train_images: how many training images, drawn from the seed; 0 for all.
    """

    name: ClassVar[str] = "magnet"
    epochs: int = parameter(100, minimum=1)
    batch_size: int = parameter(256, minimum=1)
    learning_rate: float = parameter(1e-3, open_minimum=True)
    noise: float = parameter(0.1)
    drop_rate: float = parameter(0.001, maximum=1.0)
    train_images: int = parameter(0)

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `autoencoder_1.keras`, `autoencoder_2.keras` (float32), `thresholds.json`,
        `log.csv`, `tensorboard/`.

        Always in float32: of three filters bfloat16 makes nothing faster.
        """
        rows = draw_rows(len(inputs.train), self.train_images, inputs.seed, 1)
        images = CleanImages(inputs.train, rows)

        def build(total: int) -> AutoencoderTrainer:
            trainer = AutoencoderTrainer(
                [MagNetAutoencoder(pooling, images.image_shape) for pooling in (True, False)],
                self.noise,
                inputs.seed,
            )
            trainer.compile(optimizer=keras.optimizers.Adam(self.learning_rate))
            return trainer

        validation = in_order(CleanImages(inputs.validation), _BATCH)
        trainer, _ = train_on_rows(
            build,
            images,
            self.name,
            batch_size=self.batch_size,
            epochs=self.epochs,
            seed=inputs.seed,
            folder=folder,
            checkpoints=inputs.scratch / "checkpoints",
            validation=validation,
        )
        limits = {}
        for file, autoencoder, exponent in zip(
            _FILES, trainer.autoencoders, _EXPONENTS, strict=True
        ):
            saved = save_float32(autoencoder, folder / file)
            measure = tf.function(
                lambda x, saved=saved, p=exponent: reconstruction_error(saved, x, p)
            )
            errors = np.concatenate([measure(batch["x"]).numpy() for batch in validation])
            limits[Path(file).stem] = threshold(errors, self.drop_rate)
        write_json(folder / "thresholds.json", limits)

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """The classifier on reformed images; `detect` looks at the images as they come."""
        first, second = (load_keras(folder / file) for file in _FILES)
        limits = json.loads((folder / "thresholds.json").read_text(encoding="utf-8"))
        thresholds = tuple(limits[Path(file).stem] for file in _FILES)
        return purified(classifier, first, detect=detector((first, second), thresholds))
