"""What several stages do: load splits, models and targets."""

import functools
import json
from pathlib import Path
from typing import Any

from madvae_tf.config.defenses import PARTS, parts_of
from madvae_tf.utils.errors import UserError
from pipeline.engine import artifacts
from pipeline.engine.plan import Context

# Of an artifact that holds data of the user's own.
ARRAYS = "arrays"


def splits_of(context: Context) -> dict[str, Any]:
    """The splits "train", "validation" and "test" of the stage's data set."""
    settings = context.config
    return _load_splits(settings["dataset"], context.inputs["data"], settings["validation_images"])


def classes_in(splits: dict[str, Any]) -> int:
    """How many classes the labels of all splits have together."""
    from madvae_tf.utils.labels import class_count

    return max(class_count(split.labels) for split in splits.values())


def class_names_in(folder: Path, dataset: str) -> list[str]:
    """What the classes of the data set in the artifact `folder` are called; none where nothing
    names them.
    """
    from madvae_tf.data.catalogue import DATASETS

    known = DATASETS[dataset].label_names if dataset in DATASETS else ()
    return list(read_json(folder / "source.json").get("classes") or known)


@functools.lru_cache(maxsize=1)
def _load_splits(dataset: str, folder: Path, validation_images: int) -> dict[str, Any]:
    """Kept for the stages that follow in this process: decoding takes seconds."""
    from madvae_tf.data.prepare import load_splits, with_validation

    if (folder / ARRAYS).is_dir():
        from madvae_tf.data.own import load_arrays

        return with_validation(dataset, load_arrays(folder / ARRAYS), validation_images)
    return load_splits(dataset, folder / "tfds", validation_images)


def paired_sets(context: Context, split: Any, name: str) -> Any:
    """The `PairedSets` of the input channel `name`, which were made from `split`."""
    from madvae_tf.data.adversarial_sets import AdversarialSet, PairedSets

    sets = [AdversarialSet.open(folder) for folder in context.channel(name).values()]
    return PairedSets(sets, split.images, split.labels)


def load_model(path: Path) -> Any:
    """The frozen model of a `.keras` file of this project."""
    from madvae_tf.defenses.files import load_keras

    return load_keras(path)


# Of an artifact that holds a classifier of the user's own: what it gives, and which file it is in.
ADOPTED = "adopted.json"
SAVED_MODEL = "saved_model"


def load_classifier(folder: Path) -> Any:
    """The frozen classifier of the artifact "classifier": the trained one, or the user's own."""
    if not (folder / ADOPTED).exists():
        return load_model(folder / "classifier.keras")
    import numpy as np

    from madvae_tf.models.external_classifier import load_classifier_file
    from madvae_tf.utils.images import IMAGE_SHAPE

    record = read_json(folder / ADOPTED)
    probe = np.full((2, *record.get("image_shape", IMAGE_SHAPE)), 0.5, np.float32)
    wanted = record.get("preprocessing")
    return load_classifier_file(folder / record["file"], probe, record["outputs"], wanted)


@functools.lru_cache(maxsize=2)
def attack_target(folder: Path, precision: str) -> Any:
    """Kept for the stages that follow in this process: compiled gradients are cached by its
    callables.

    A classifier of the user's own computes as it does, whatever the precision.
    """
    from madvae_tf.attacks import DefendedModel
    from madvae_tf.models.copies import in_precision
    from madvae_tf.models.external_classifier import ExternalClassifier

    classifier = load_classifier(folder)
    if precision != "float32" and not isinstance(classifier, ExternalClassifier):
        classifier = in_precision(classifier, precision)
    return DefendedModel(logits=functools.partial(classifier, training=False))


def defended(context: Context, classifier: Any) -> Any:
    """The `DefendedModel` that the stage's settings name, from the artifact "defense"; without one,
    the classifier alone.

    Raises:
        UserError: it has other parts than `madvae_tf.config.defenses` says, so that attacks would
            be left out, or could not run.
    """
    from madvae_tf.defenses import DEFENSES
    from madvae_tf.models.defended_model import DefendedModel

    settings = context.config
    if "defense" not in context.inputs:
        return DefendedModel(logits=classifier)
    defense = DEFENSES[settings["defense"]](**settings["parameters"])
    system = defense.load(context.inputs["defense"], classifier)
    said = parts_of(settings["defense"])
    own = tuple(part for part in PARTS if getattr(system, part) is not None)
    if set(own) != set(said):
        received, expected = (", ".join(parts) or "nothing" for parts in (own, said))
        raise UserError(
            f"Invalid defence {settings['defense']}: received one that has {received} beyond its"
            f" logits, expected {expected}; correct parts= in its row of BASELINES"
            " (madvae_tf/config/defenses.py)."
        )
    return system


def read_json(path: Path) -> Any:
    """The value that the JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))


def start_anew(context: Context) -> None:
    """Removes what a killed attempt left, so that no half-written file joins the artifact."""
    for name in artifacts.content_files(context.folder):
        (context.folder / name).unlink()
