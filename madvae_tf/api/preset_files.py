"""The folder of a preset, laid out as keras-hub's presets are.

    config.json        the purifier, as Keras serialises a model
    model.weights.h5   its weights, compressed; Keras reads them as they are
    task.json          the classifier behind it, and task.weights.h5; absent without one
    metadata.json      versions, data set, threat, figures, and the SHA-256 of the other files
    README.md          the model card

Nothing is pickled, and models are read in Keras' safe mode.
"""

import json
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

import madvae_tf
from madvae_tf.api import saving
from madvae_tf.models.external_classifier import ExternalClassifier, adapt
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.files import sha256_of, write_json

METADATA, CARD = "metadata.json", "README.md"
SCHEMA = 1
_PURIFIER, _CLASSIFIER = ("config.json", "model.weights.h5"), ("task.json", "task.weights.h5")


def write(
    folder: Path,
    purifier: DefenseVAE,
    classifier: ExternalClassifier | None,
    facts: Mapping[str, Any],
    card: str,
) -> None:
    """Writes a preset's files into `folder`, which exists.

    Args:
        classifier: None, or one that is no Keras model: it is not among the files.
        facts: of `metadata.json`, values that JSON can hold.
        card: Markdown.

    Raises:
        UserError: a model cannot be written so that the safe mode reads it.
    """
    _write_model(folder, purifier, _PURIFIER)
    parameters = purifier.count_params()
    outputs = None
    if classifier is not None and saving.holds(classifier):
        source: Any = classifier.source
        _write_model(folder, source, _CLASSIFIER)
        parameters += source.count_params()
        outputs = classifier.outputs
    (folder / CARD).write_text(card, encoding="utf-8")
    record = {
        **facts,
        "schema": SCHEMA,
        "keras_version": keras.version(),
        "madvae_tf_version": madvae_tf.__version__,
        "parameter_count": int(parameters),
        "outputs": outputs,
        "sha256": {file.name: sha256_of(file) for file in sorted(folder.iterdir())},
    }
    write_json(folder / METADATA, record)


def metadata(folder: Path) -> dict[str, Any]:
    """What `metadata.json` holds.

    Raises:
        UserError: there is none, or it is none of this version.
    """
    try:
        record = json.loads((folder / METADATA).read_text(encoding="utf-8"))
        schema, _ = record["schema"], dict(record["sha256"])
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"No preset in {folder} ({type(error).__name__}: {error}); expected a folder that"
            " defense.save_to_preset(path) wrote."
        ) from error
    if schema != SCHEMA:
        raise UserError(f"{folder} has schema {schema}, expected {SCHEMA}; save it again.")
    return record


def read(folder: Path, classifier: Callable[..., Any] | None) -> saving.Parts:
    """The defence in the folder of a preset; `classifier` stands in place of the saved one.

    Raises:
        UserError: there is no preset, or a file is missing, damaged or changed.
    """
    record = metadata(folder)
    saving.check_files(folder, record["sha256"], "has changed; fetch the preset again")
    purifier = _read_model(folder, _PURIFIER)
    if not isinstance(purifier, DefenseVAE):
        raise UserError(
            f"{folder / _PURIFIER[0]} holds {type(purifier).__name__}, expected a DefenseVAE."
        )
    own = classifier
    if own is None and _CLASSIFIER[0] in record["sha256"]:
        own = _read_model(folder, _CLASSIFIER)
    outputs = record["outputs"] if classifier is None else "auto"
    adapted = None if own is None else adapt(own, saving.probes(purifier.image_shape), outputs)
    return purifier, adapted, dict(record.get("info") or {})


def _write_model(folder: Path, model: keras.Model, names: tuple[str, str]) -> None:
    config, weights = (folder / name for name in names)
    try:
        value: Any = keras.saving.serialize_keras_object(model)
        value.pop("compile_config", None)
        config.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            plain = Path(scratch) / names[1]
            model.save_weights(plain)
            _compress(plain, weights)
        again = _read_model(folder, names)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{model.name} cannot be saved as a preset ({cause_of(error)}); expected stock layers"
            " or registered classes with get_config."
        ) from error
    for mine, read_back in zip(model.get_weights(), again.get_weights(), strict=True):
        if not np.array_equal(mine, read_back):
            raise UserError(f"{model.name} cannot be saved as a preset: its weights change.")


def _read_model(folder: Path, names: tuple[str, str]) -> Any:
    try:
        text = (folder / names[0]).read_text(encoding="utf-8")
        model: Any = keras.saving.deserialize_keras_object(json.loads(text), safe_mode=True)
        model.load_weights(folder / names[1])
    except Exception as error:  # A file that is damaged or unsafe fails in many ways.
        raise UserError(
            f"{folder / names[0]} cannot be loaded in safe mode: {type(error).__name__}:"
            f" {cause_of(error)}; expected stock layers or registered classes that are imported."
        ) from error
    return model


def _compress(source: Path, target: Path) -> None:
    """A copy of an HDF5 file with its arrays compressed."""
    with h5py.File(source) as plain, h5py.File(target, "w") as packed:
        packed.attrs.update(plain.attrs)

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                packing = {"compression": "gzip", "compression_opts": 9, "shuffle": True}
                made: Any = packed.create_dataset(
                    name, data=item[()], **(packing if item.ndim else {})
                )
            else:
                made = packed.require_group(name)
            made.attrs.update(item.attrs)

        plain.visititems(copy)
