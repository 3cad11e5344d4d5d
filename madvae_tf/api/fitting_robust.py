"""`fit_robust`: a purifier for attackers who know of it, from a classifier and labelled images in
one call.
"""

import dataclasses
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import madvae_tf
from madvae_tf.api.figures import concluded
from madvae_tf.api.fitted import FittedDefense
from madvae_tf.api.validation import (
    PROBES,
    check_count,
    check_data,
    check_precision,
    chosen_budget,
    clean_accuracy,
    defaults_of,
    held_out,
    scratch_folder,
)
from madvae_tf.config.costs import robust_seconds
from madvae_tf.config.parameters import check_integers, with_defaults
from madvae_tf.data.labelled import labelled
from madvae_tf.data.prepare import Split
from madvae_tf.defenses.base import TrainingInputs
from madvae_tf.defenses.files import load_keras
from madvae_tf.defenses.robust import Robust
from madvae_tf.evaluation import Threat
from madvae_tf.models.cost import announcement, relative_to_paper
from madvae_tf.models.external_classifier import adapt
from madvae_tf.models.seeding import process_as_found
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.budgets import usual_budget
from madvae_tf.utils.errors import UserError, unknown_name
from madvae_tf.utils.forks import check_process
from madvae_tf.utils.images import as_float, binary_share, nearly_binary, shape_of
from madvae_tf.utils.precision import resolve_precision
from madvae_tf.utils.progress import say, silent

# Of configs/robust.py.
_RECOMMENDED = {
    "radius_ratio": 4 / 3,
    "encoder": "vgg",
    "batch_size": 128,
    "attack_steps": 4,
    "late_attack_steps": 4,
    "step_ratio": 0.6,
    "decaying_steps": True,
    "classification": 1.0,
    "max_shift": 1,
}
_RAMP, _AVERAGE = 600, 0.999
_SQUASH = 30.0
_NOT_OFFERED = ("seed", "image_steps")
# Their defaults follow from the radius and the number of steps.
_FOLLOWING = ("start_epsilon", "ramp_steps", "average")


@process_as_found()
def fit_robust(
    classifier: Callable[..., Any],
    images: Any,
    labels: Any = None,
    *,
    epsilon: float | None = None,
    epochs: int = 1,
    encoder_epochs: int = 5,
    scale: float | str = "auto",
    validation_split: float = 0.1,
    validation_data: tuple[Any, Any] | None = None,
    outputs: str = "auto",
    preprocessing: Any = None,
    precision: str = "auto",
    seed: int = 0,
    verbose: int = 1,
    scratch: str | Path | None = None,
    **settings: Any,
) -> FittedDefense:
    """Trains a purifier against attacks on itself and `classifier` together: the variant `robust`.

    The classifier is neither changed nor trained. Two stages: an encoder learns robust features by
    adversarial training, which knows nothing of the classifier; then a decoder learns to draw from
    them images that the classifier is right on. With the defaults 55,000 images of 28 x 28 pixels
    take about a quarter of an hour on two CPU cores with bfloat16 instructions, longer on others;
    the first line says what to expect. configs/robust.py is the same with `encoder_epochs=20,
    epochs=2`. The same arguments give the same purifier on the same machine. What it withstands is
    `madvae_tf.evaluation.evaluate`'s to say: the attack of the training is a weak one.

    Args:
        classifier, images, labels, validation_split, validation_data, outputs, precision, seed,
            verbose, scratch: see `fit`.
        epsilon: the radius to withstand, in L-infinity, pixels in [0, 1]; None: what is usual for
            such images, see `madvae_tf.utils.budgets`. The training's attacks go a third beyond.
        epochs: passes over the images for the decoder; with `encoder_epochs=0` for all, which is
            then trained end to end.
        encoder_epochs: passes for the encoder, before.
        scale: k of a squash sigmoid(k (x - b)) before the encoder, which is for images that are
            nearly black and white; 0 for none. "auto": 30 where nearly all pixels are near 0 or 1
            (`madvae_tf.utils.images.nearly_binary`), as of MNIST's digits, else 0; a line says so.
        settings: further fields of `madvae_tf.config.RobustConfig`, where they are explained, and
            `latent_size`. By default the radius grows from a sixth of `epsilon` over the first 600
            steps of the first stage, or a quarter of it where it has fewer than 2,400, and where
            the shorter stage has fewer than 10,000 steps the average weights are taken over the
            last tenth or so of that many.

    Returns:
        the defence; its `info` holds the validation accuracy, without an attack and attacked end to
        end, the settings, and "figures" as after `fit`.

    Raises:
        UserError: images, labels, the classifier or an option are not as said above; the training
            diverged.
    """
    check_process()
    known = [field.name for field in dataclasses.fields(Robust) if field.name not in _NOT_OFFERED]
    for name in settings:
        if name not in known:
            raise unknown_name("option", name, known)
    x, y = labelled(images, labels, "images")
    (seed,) = check_integers({"seed": (seed, 0)})
    check_precision(precision)
    (x, y), (x_held, y_held) = held_out(x, y, validation_split, validation_data)
    chosen = scale == "auto"
    if chosen:
        scale = _SQUASH if nearly_binary(x) else 0.0
    # Checked before the number of steps is made of them.
    epsilon, sentence = _radius(epsilon, settings, x)
    with with_defaults({**defaults_of(fit_robust), **_RECOMMENDED, **dict.fromkeys(_FOLLOWING)}):
        passes = {"epochs": epochs, "encoder_epochs": encoder_epochs, "scale": scale}
        # The radius at the start follows below from epsilon.
        own = Robust(
            **{"epsilon": epsilon, "start_epsilon": 0.0, **passes, **_RECOMMENDED, **settings}
        )
    check_count(len(x))
    steps = own.epoch_steps or max(1, len(x) // own.batch_size)
    first = steps * (own.encoder_epochs or own.epochs)
    shorter = steps * min(own.encoder_epochs or own.epochs, own.epochs)
    own = dataclasses.replace(
        own,
        start_epsilon=settings.get("start_epsilon", epsilon / 6),
        ramp_steps=settings.get("ramp_steps", min(_RAMP, first // 4)),
        average=settings.get("average", max(0.0, min(_AVERAGE, 1 - 10 / shorter))),
        seed=seed,
    )
    adapted: Any = adapt(classifier, as_float(x[:PROBES]), outputs, preprocessing=preprocessing)
    check_data((x, y), (x_held, y_held), adapted.num_classes)
    nothing: Any = None  # It learns from clean images.
    with (
        silent(not verbose),
        tempfile.TemporaryDirectory(dir=scratch_folder(scratch), prefix="madvae_tf-") as name,
    ):
        folder = Path(name)
        right = clean_accuracy(adapted, x_held, y_held, own.batch_size)
        computed = resolve_precision(precision)
        if sentence:
            say(sentence)
        if chosen:
            say(_squash_words(own.scale, x))
        planned = DefenseVAE(
            own.latent_size, image_shape=shape_of(x), encoder=own.encoder, width=own.width
        )
        watched = min(own.validation_images, len(x_held))
        known = {**dataclasses.asdict(own), "validation_images": watched}
        seconds = robust_seconds(known, len(x)) * relative_to_paper(planned)
        say(announcement(planned, own.batch_size, computed, seconds))
        inputs = TrainingInputs(
            train=Split(x, y),
            validation=Split(x_held, y_held),
            pairs=nothing,
            validation_pairs=nothing,
            classifier=adapted,
            classifier_name="",
            seed=seed,
            precision=computed,
            scratch=folder,
        )
        own.train(inputs, folder)
        purifier = load_keras(folder / "purifier.keras")
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        info = {
            "version": madvae_tf.__version__,
            "variant": own.name,
            "seed": seed,
            "parameters": own.parameters,
            "classifier_validation_accuracy": right,
            **metrics,
        }
        defense = FittedDefense(purifier, adapted, info)
        return concluded(defense, (x_held, y_held), _threats(own), own.seed)


def _squash_words(scale: float, images: np.ndarray) -> str:
    """What "auto" chose, one line."""
    found = f"a squash of scale {scale:g}" if scale else "no squash"
    return (
        f"scale='auto': {found} before the encoder, since {100 * binary_share(images):.0f}% of the"
        " pixels are near 0 or 1."
    )


def _radius(epsilon: float | None, settings: dict[str, Any], images: np.ndarray) -> tuple[Any, str]:
    """`chosen_budget` of one in L-infinity; in L2 there is no usual one but MNIST's."""
    norm = settings.get("norm", "linf")
    missing = "epsilon" if norm == "l2" and epsilon is None else ""
    if norm == "both" and "l2_epsilon" not in settings and not nearly_binary(images):
        missing = "l2_epsilon"
    if missing:
        raise UserError(
            f"Invalid {missing}: received none with norm={norm!r}, expected a radius in L2, which"
            f" none is usual of for these images; pass {missing}=0.5, CIFAR-10's, or 2.0, MNIST's."
        )
    if norm == "l2" or isinstance(epsilon, str):
        return epsilon, ""
    if epsilon is not None and not 0 < epsilon <= 1:
        return epsilon, ""  # `Robust` says what is wrong with it.
    return chosen_budget(epsilon, usual_budget(images))


def _threats(own: Robust) -> list[Threat]:
    """The budgets that it was trained for."""
    if own.norm != "both":
        return [Threat(own.norm, own.epsilon)]
    return [Threat("linf", own.epsilon), Threat("l2", own.l2_epsilon)]
