"""What a defence is: how it is trained, and how it is applied once it is.

A defence is a frozen dataclass of its hyper-parameters. `train` writes what it learnt into a
folder; `load` gives the callables that evaluation, benchmarks and adaptive attacks use. Defences
differ only in these two.
"""

import abc
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import keras

from madvae_tf.config.parameters import Parameters
from madvae_tf.data.adversarial_sets import PairedSets
from madvae_tf.data.prepare import Split
from madvae_tf.models.defended_model import DefendedModel


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingInputs:
    """What a defence may learn from. The test set is not in it.

    Attributes:
        train, validation: clean images and labels.
        pairs: the training pairs, adversarial and clean, labels in `label`.
        validation_pairs: pairs of another attack setting on the validation images, for choices.
        classifier: the frozen classifier, float32: images -> logits.
        classifier_name: its name in `CLASSIFIERS`.
        seed: folded into every random draw.
        precision: a Keras dtype policy for training, "float32" or "mixed_bfloat16".
        scratch: a folder for checkpoints; kept when the process is killed, so that training resumes
            exactly.
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


@dataclasses.dataclass(frozen=True)
class Defense(Parameters, abc.ABC):
    """Base of the defences: hyper-parameters are `parameter(...)` fields, checked on construction.

    `requires` names the defences that must be trained before this one; `train` finds their folders
    in `inputs.trained`.
    """

    requires: ClassVar[tuple[str, ...]] = ()

    @abc.abstractmethod
    def train(self, inputs: TrainingInputs, folder: Path) -> None:
        """Learns from `inputs` and writes its files to `folder`, each whole or not at all.

        Files are `.keras`, `.npy` and JSON, so that nothing unpickles; loss curves go to `log.csv`
        (`MeanLog`). Called again after a kill, it ends with the same weights as an unbroken run.
        """

    @abc.abstractmethod
    def load(self, folder: Path, classifier: keras.Model) -> DefendedModel:
        """The trained defence in `folder`, before (or in place of) `classifier`."""
