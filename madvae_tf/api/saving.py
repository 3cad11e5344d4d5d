"""The folder of a defence: `purifier.keras`, `defense.json` and, where the classifier is a Keras
model, `classifier.keras`: no pickle, and everything is read in Keras' safe mode.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

import madvae_tf.models.classifiers  # noqa: F401  # registers what a saved classifier may be
from madvae_tf.models.external_classifier import ExternalClassifier, adapt
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.files import sha256_of
from madvae_tf.utils.images import Shape

SCHEMA = 1
RECORD, PURIFIER, CLASSIFIER = "defense.json", "purifier.keras", "classifier.keras"
# Digit-like images are not needed to see whether a classifier gives logits or probabilities.
_PROBES = 8
# A purifier, the classifier behind it, and how they were made.
Parts = tuple[DefenseVAE, ExternalClassifier | None, dict[str, Any]]


def write(
    folder: Path,
    purifier: DefenseVAE,
    classifier: ExternalClassifier | None,
    info: Mapping[str, Any],
) -> None:
    """Writes the files of a defence into `folder`; a classifier that is no Keras model is not
    among them.

    Raises:
        UserError: the classifier holds code that the safe mode would not load.
    """
    purifier.save(folder / PURIFIER)
    outputs = None
    if classifier is not None:
        outputs = classifier.outputs
        if isinstance(classifier.source, keras.Model):
            classifier.source.save(folder / CLASSIFIER)
            load_keras(folder / CLASSIFIER)
    record = {
        "schema": SCHEMA,
        "outputs": outputs,
        "info": dict(info),
        "sha256": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
    }
    text = json.dumps(record, indent=2, sort_keys=True) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")


def read(folder: Path, classifier: Callable[..., Any] | None, preprocessing: Any = None) -> Parts:
    """What `write` wrote to `folder`, or published weights there. See `madvae_tf.load`."""
    if not (folder / RECORD).exists() and (folder / PURIFIER).is_file():
        return _of_weights(folder, classifier, preprocessing)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        schema, outputs, hashes = record["schema"], record["outputs"], dict(record["sha256"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"No defence in {folder} ({type(error).__name__}: {error}); expected a folder that"
            " defense.save(path) wrote."
        ) from error
    if schema != SCHEMA:
        raise UserError(
            f"{folder} has schema {schema}, expected {SCHEMA}; save it again with this version."
        )
    check_files(folder, hashes, "has changed since it was saved; restore it, or fit again")
    saved = folder / CLASSIFIER if CLASSIFIER in hashes else None
    info = record["info"]
    return _with_classifier(folder / PURIFIER, saved, classifier, outputs, info, preprocessing)


def check_files(folder: Path, hashes: Mapping[str, str], otherwise: str) -> None:
    """Raises `UserError` where a file of `folder` is not there or has another SHA-256; `otherwise`
    ends the message, which begins "FILE is missing or".
    """
    for name, expected in hashes.items():
        file = folder / name
        if not file.is_file() or sha256_of(file) != expected:
            raise UserError(f"{file} is missing or {otherwise}.")


def holds(classifier: ExternalClassifier | None) -> bool:
    """Whether a folder can hold this classifier: a Keras model."""
    return classifier is not None and isinstance(classifier.source, keras.Model)


def _of_weights(folder: Path, classifier: Callable[..., Any] | None, preprocessing: Any) -> Parts:
    saved = folder / CLASSIFIER if (folder / CLASSIFIER).is_file() else None
    info = {"weights": folder.name}
    return _with_classifier(folder / PURIFIER, saved, classifier, "auto", info, preprocessing)


def _with_classifier(
    file: Path,
    saved: Path | None,
    classifier: Callable[..., Any] | None,
    outputs: str,
    info: dict[str, Any],
    preprocessing: Any,
) -> Parts:
    """The purifier of `file` with `classifier`, or else with the one in `saved`."""
    purifier = load_keras(file)
    if not isinstance(purifier, DefenseVAE):
        raise UserError(
            f"{file} holds {type(purifier).__name__}, expected a DefenseVAE that this project"
            " saved."
        )
    probe = probes(purifier.image_shape)
    adapted = None
    if classifier is not None:
        adapted = adapt(classifier, probe, preprocessing=preprocessing)
    elif saved is not None:
        adapted = adapt(load_keras(saved), probe, outputs)
    return purifier, adapted, info


def probes(shape: Shape) -> np.ndarray:
    """Images that show whether a classifier gives logits or probabilities."""
    return np.random.default_rng(0).random((_PROBES, *shape), np.float32)


def load_keras(path: Path) -> Any:
    """The Keras model in a file, in safe mode.

    Raises:
        UserError: it cannot be loaded.
    """
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # A file that is damaged or unsafe fails in many ways.
        raise UserError(
            f"{path.name} cannot be loaded in safe mode: {type(error).__name__}: {cause_of(error)};"
            " expected stock layers or registered classes that are imported; pass the classifier"
            " as a function to keep it out of the file."
        ) from error
