"""The variational autoencoders as defences: every row of `VARIANTS`, the paper's four and three
baselines.

The baselines have the same architecture and trainer and differ in what the rows of `VARIANTS` and
`pairs_of` say:
the identity VAE learns from clean images only (Table 1's question: what does the attack data
bring?), Defense-VAE from attacked images only (section 3.4, Table 4; Li & Ji 2018), and the mixture
prior from the same pairs as the variants (A.6).
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import keras
import tensorflow as tf

from madvae_tf.config.parameters import parameter
from madvae_tf.config.variants import weights_of
from madvae_tf.data.adversarial_sets import PairedSets
from madvae_tf.data.batches import IdentityPairs, Rows
from madvae_tf.defenses.base import Defense, TrainingInputs
from madvae_tf.defenses.files import load_keras
from madvae_tf.models.bn_folding import fold_batch_norm
from madvae_tf.models.defended_model import DefendedModel, purified
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.training.purifier import PurifierSettings, fit_purifier
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import write_json

_WEIGHTS = ("alpha", "beta", "gamma", "proximity", "sigma")


@dataclasses.dataclass(frozen=True)
class Purifier(Defense):
    """One purifier; the fields are those of `VaeConfig` and `PurifierSettings`.

    `inputs.trained["warmup"]`, where it is there, holds the purifier whose weights this one starts
    from.
    """

    name: ClassVar[str] = "purifier"
    variant: str = parameter("vanilla")
    latent_size: int = parameter(128, minimum=1)
    epochs: int = parameter(10, minimum=1)
    first_epoch: int = parameter(0)
    batch_size: int = parameter(64, minimum=1)
    learning_rate: float = parameter(1e-3, open_minimum=True)
    final_learning_rate: float = parameter(1e-5, open_minimum=True)
    clip_norm: float = parameter(1.0)
    max_shift: int = parameter(0)
    alpha: float = parameter(0.1)
    beta: float = parameter(0.1)
    gamma: float = parameter(0.1)
    proximity: float = parameter(0.01)
    sigma: float = parameter(1e-5)
    reduction: str = parameter("elbo")
    latent_scale: str = parameter("log_variance")
    initial_deviation: float = parameter(0.0)
    attacked_only: bool = parameter(False)
    epoch_steps: int = parameter(0)
    fused_adam: bool = parameter(False)
    width: float = parameter(1.0, open_minimum=True)
    seed: int = parameter(-1, minimum=-1)
    checkpoint_steps: int = parameter(200, minimum=1)
    image_steps: int = parameter(500, minimum=1)

    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Writes `purifier.keras`, `centers.npy` (of variants with centres), `metrics.json`,
        `log.csv`, `tensorboard/`.
        """
        settings = self.settings(inputs.seed if self.seed < 0 else self.seed, inputs.precision)
        warmup = inputs.trained.get("warmup")
        metrics = fit_purifier(
            settings,
            self.pairs_of(inputs),
            inputs.validation_pairs,
            inputs.classifier,
            inputs.classifier_name,
            load_keras(warmup / "purifier.keras") if warmup else None,
            folder,
            inputs.scratch,
        )
        write_json(folder / "metrics.json", metrics)

    def settings(self, seed: int, precision: str) -> PurifierSettings:
        """What `fit_purifier` is told."""
        return PurifierSettings(
            title=self.variant,
            weights=weights_of(self.variant, {name: getattr(self, name) for name in _WEIGHTS}),
            seed=seed,
            precision=precision,
            **{name: getattr(self, name) for name in _SHARED},
        )

    def pairs_of(self, inputs: TrainingInputs) -> Rows:
        """What this variant learns from.

        Raises:
            UserError: only attacked pairs are asked for, and there are none.
        """
        if self.variant == "identity":
            return IdentityPairs(inputs.train)
        if not self.attacked_only:
            return inputs.pairs
        attacked = [each for each in inputs.pairs.sets if each.metadata["attack"] != "none"]
        if not attacked:
            raise UserError(
                f"Invalid training sets for {self.variant}: received clean images only, expected"
                " attacked ones."
            )
        return PairedSets(attacked, inputs.train.images, inputs.train.labels)

    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """Latent mean in, image out: deterministic."""
        return load_purifier(folder, classifier)


def load_purifier(folder: Path, classifier: keras.Model) -> DefendedModel:
    """A `DefenseVAE` saved as `purifier.keras`, before `classifier`; see `defended`."""
    return defended(load_keras(folder / "purifier.keras"), classifier)


def defended(vae: DefenseVAE, classifier: Callable[[tf.Tensor], tf.Tensor]) -> DefendedModel:
    """A `DefenseVAE` before `classifier`, with its latent distribution; a copy of it, folded, see
    `models.bn_folding`.
    """
    purifier: Any = fold_batch_norm(vae)

    def sample(images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        mean, log_variance = purifier.encode(images)
        draw = lambda seed: tf.random.stateless_normal(mean.shape[1:], seed, alg="philox")  # noqa: E731
        noise = tf.map_fn(
            draw, seeds, fn_output_signature=tf.TensorSpec(mean.shape[1:], tf.float32)
        )
        return mean + tf.exp(log_variance / 2) * noise

    def straight_through(images: tf.Tensor) -> tf.Tensor:
        return classifier(purifier.purify_around_squash(images))

    return purified(
        classifier,
        purifier,
        squash=purifier.squash,
        straight_through=None if purifier.squash is None else straight_through,
        encode=lambda images: purifier.encode(images)[0],
        decode=purifier.decode,
        sample=sample,
    )


_SHARED = {item.name for item in dataclasses.fields(Purifier)} & {
    item.name for item in dataclasses.fields(PurifierSettings)
} - {"seed"}

# Which of `VARIANTS` see no clean image.
ATTACKED_ONLY = ("defense_vae",)


def variant(name: str, **parameters) -> Purifier:
    """The purifier of a row of `VARIANTS`, with whatever else `Purifier` takes."""
    weights_of(name, dict.fromkeys(_WEIGHTS, 0.0))
    parameters.setdefault("attacked_only", name in ATTACKED_ONLY)
    return Purifier(variant=name, **parameters)
