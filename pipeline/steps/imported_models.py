"""The stages that take over models made elsewhere: a classifier, and a purifier for the variant
`robust` or its training to go on from.
"""

import shutil
from pathlib import Path
from typing import Any

from absl import logging

from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import sha256_of, write_json
from madvae_tf.utils.signals import raise_if_received
from pipeline.engine import artifacts
from pipeline.engine.plan import Context
from pipeline.steps.common import ADOPTED, SAVED_MODEL, load_model, splits_of, start_anew
from pipeline.steps.training import classifier_metrics, training_inputs

_PROBES = 32
# On the way from chance to 1: 0.5 of ten classes.
_SUSPICIOUS = 4 / 9


def import_classifier(path: Path, context: Context) -> None:
    """Checks the classifier at `path` and copies it, as `classifier.keras` or `saved_model/`, with
    `adopted.json` and `metrics.json`.

    Raises:
        UserError: it is no classifier of these images, or has changed since the plan was made.
    """
    from madvae_tf.data.prepare import to_float
    from madvae_tf.models.external_classifier import load_classifier_file
    from madvae_tf.utils.images import shape_entry
    from madvae_tf.utils.labels import above_chance, check_classes

    start_anew(context)
    splits = splits_of(context)
    if path.is_dir():
        copy = context.folder / SAVED_MODEL
        # What else lies in the folder, a `.keras` file say, is part of its content, too.
        shutil.copytree(path, copy, dirs_exist_ok=True)
        found = {name: sha256_of(copy / name) for name in artifacts.content_files(copy)}
    else:
        copy = context.folder / "classifier.keras"
        shutil.copyfile(path, copy)
        found = {copy.name: sha256_of(copy)}
    if found != context.config["content"]:
        raise UserError(f"{path} has changed since the run began; run again.")
    probe = to_float(splits["validation"].images[:_PROBES])
    wanted = context.config.get("preprocessing")
    classifier = load_classifier_file(copy, probe, context.config["outputs"], wanted)
    logging.info("The classifier %s gives %s.", path, classifier.outputs)
    metrics: dict[str, Any] = classifier_metrics(classifier, splits, context.config["seed"])
    for split in splits.values():
        check_classes(split.labels, classifier.num_classes)
    if metrics["validation"]["accuracy"] < above_chance(classifier.num_classes, _SUSPICIOUS):
        logging.warning(
            "The classifier %s is right on %.1f%% of the validation images only: does it expect"
            " float32 images in [0, 1] of %s and its labels?",
            path,
            100 * metrics["validation"]["accuracy"],
            context.config["dataset"],
        )
    write_json(context.folder / "metrics.json", metrics)
    record = {
        "outputs": classifier.outputs,
        "file": copy.name,
        **({"preprocessing": wanted} if wanted else {}),
        **shape_entry(classifier.image_shape),
    }
    write_json(context.folder / ADOPTED, record)


def import_purifier(path: Path, field: str, context: Context) -> None:
    """Checks the purifier at `path`, of `RobustConfig`'s `field`, and copies it as
    `purifier.keras`, with `metrics.json` of its accuracies on validation images.

    Raises:
        UserError: it is no purifier of this project, or of other images, or has changed since the
            plan was made.
    """
    from madvae_tf.defenses.robust import Robust
    from madvae_tf.models.finite import check_finite
    from madvae_tf.models.vae import DefenseVAE

    start_anew(context)
    copy = context.folder / "purifier.keras"
    shutil.copyfile(path, copy)
    if sha256_of(copy) != context.config["content"]:
        raise UserError(f"{path} has changed since the run began; run again.")
    try:
        purifier = load_model(copy)
    except Exception as error:  # Whatever Keras raises for a file that it did not write.
        raise_if_received()
        raise UserError(
            f"Invalid robust.{field}: {path} cannot be read ({type(error).__name__}), expected a"
            " DefenseVAE that this project saved."
        ) from error
    if not isinstance(purifier, DefenseVAE):
        raise UserError(
            f"Invalid robust.{field}: {path} holds {type(purifier).__name__}, expected a DefenseVAE"
            " that this project saved."
        )
    check_finite(purifier, f"robust.{field} ({path})")
    inputs = training_inputs(context)
    shape = tuple(inputs.validation.images.shape[1:])
    if tuple(purifier.image_shape) != shape:
        raise UserError(
            f"Invalid robust.{field}: {path} takes images of shape {purifier.image_shape}, expected"
            f" {shape}, those of {context.config['dataset']}."
        )
    parameters = context.config["parameters"]
    crosses = {
        "threshold_l2": parameters.get("threshold_l2"),
        "norm_mix": "threshold_l2" in parameters.get("norm_mix", ""),
    }
    for option in crosses:
        if crosses[option] and purifier.squash is None:
            raise UserError(
                f"Invalid robust.{option}: received {parameters[option]!r} with {path}, which has"
                " no squash to cross; expected one without threshold_l2."
            )
    found = Robust(**parameters).measure(purifier, inputs)
    logging.info(
        "The purifier %s is right on %.3f of %d validation images, on %.3f of them attacked end to"
        " end.",
        *(path, found["validation_accuracy"], found["validation_images"]),
        found["validation_attacked_accuracy"],
    )
    write_json(context.folder / "metrics.json", found)
