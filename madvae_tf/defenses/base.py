"""What a defence is: how it is trained, and how it is applied once it is.

A defence is a frozen dataclass of its hyper-parameters. `train` writes what it learnt into a folder; `load` gives the
callables that evaluation, benchmarks and adaptive attacks use. Defences differ only in these two.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import keras
import tensorflow as tf

from madvae_tf.config.parameters import Parameters
from madvae_tf.data.adversarial_sets import PairedSets
from madvae_tf.data.prepare import Split


@dataclasses.dataclass(frozen=True, eq=False)
class Material:
    """What a defence may learn from. The test set is not in it.

    Attributes:
        train, validation: clean images and labels.
        pairs: the training pairs, adversarial and clean, labels in `label`.
        validation_pairs: pairs of another attack setting on the validation images, for choices.
        classifier: the frozen classifier, float32: images -> logits.
        classifier_name: its name in `CLASSIFIERS`.
        seed: folded into every random draw.
        precision: a Keras dtype policy for training, "float32" or "mixed_bfloat16".
        scratch: a folder for checkpoints; kept when the process is killed, so that training resumes exactly.
        trained: name -> folder of the defences that `Defense.requires` names.
    """

    train: Split
    validation: Split
    pairs: PairedSets
    validation_pairs: PairedSets
    classifier: keras.Model
    classifier_name: str
    seed: int
    precision: str
    scratch: Path
    trained: Mapping[str, Path] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Defended:
    """A trained defence with its classifier; images are float32 (batch, 28, 28, 1) in [0, 1].

    Attributes:
        logits: images -> float32 (batch, 10), of the whole system.
        purify: images -> images, where the defence changes the image.
        classify: purified images -> `logits`, where they are made of nothing else.
        encode: images -> float32 (batch, latent), where it has a latent code.
        decode: latents -> images, where it has one.
        sample: images, int32 seeds (batch, 2) -> latents drawn from the code of each image, where it has a distribution.
        detect: images -> bool (batch,), True where the image is refused as adversarial.
        squash: the squash that the system begins with, a function of each pixel alone, where it has one.
        range_logits: `logits` of what `decode` made, where the purifier searches `decode`'s range: without the search.
        straight: `logits` with the identity's gradient in the place of its squash's, where it has one.
    """

    logits: Callable[[tf.Tensor], tf.Tensor]
    purify: Callable[[tf.Tensor], tf.Tensor] | None = None
    classify: Callable[[tf.Tensor], tf.Tensor] | None = None
    encode: Callable[[tf.Tensor], tf.Tensor] | None = None
    decode: Callable[[tf.Tensor], tf.Tensor] | None = None
    sample: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None
    detect: Callable[[tf.Tensor], tf.Tensor] | None = None
    squash: Callable[[tf.Tensor], tf.Tensor] | None = None
    range_logits: Callable[[tf.Tensor], tf.Tensor] | None = None
    straight: Callable[[tf.Tensor], tf.Tensor] | None = None


def purified(
    classifier: Callable[[tf.Tensor], tf.Tensor], purify: Callable[[tf.Tensor], tf.Tensor], **more
) -> Defended:
    """The usual defence: `classifier` on the output of `purify`; `more` are further fields of `Defended`."""
    return Defended(
        logits=lambda images: classifier(purify(images)), purify=purify, classify=classifier, **more
    )


@dataclasses.dataclass(frozen=True)
class Defense(Parameters, abc.ABC):
    """Base of the defences: hyper-parameters are `parameter(...)` fields, checked on construction.

    `requires` names the defences that must be trained before this one; `train` finds their folders in `material.trained`.
    """

    requires: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def train(self, material: Material, folder: Path) -> None:
        """Learns from `material` and writes its files to `folder`, each whole or not at all.

        Files are `.keras`, `.npy` and JSON, so that nothing unpickles; loss curves go to `log.csv` (`MeanLog`).
        Called again after a kill, it ends with the same weights as an unbroken run.
        """

    @abc.abstractmethod
    def load(self, folder: Path, classifier: keras.Model) -> Defended:
        """The trained defence in `folder`, before (or in place of) `classifier`."""
