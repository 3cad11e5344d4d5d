"""Attacks image files: PNG files that an exported classifier gets wrong, where the attack succeeds.

    madvae-attack digit.png --classifier=runs/quick/export/classifier --attack=pgd --set=epsilon=0.2 --out=attacked

Images are PNG or JPEG files, folders of them, or patterns; they become the classifier's size and
colours as with madvae-purify. --classifier may be an exported purifier, too: the attack then goes
through purifier and classifier. What is reported is measured on the 8-bit image that a PNG file
holds: rounded towards the original where the attack has a budget, so that it holds (within 1/255),
else to the nearest (1/510).
"""  # noqa: E501

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags, logging

from madvae_tf.cli import common
from madvae_tf.data import image_io
from madvae_tf.utils.errors import UserError, lookup, unknown_name
from madvae_tf.utils.images import IMAGE_SHAPE, as_float


def define() -> None:
    """The command's flags."""
    common.define_common()
    flags.DEFINE_string(
        "classifier", "runs/quick/export/classifier", "A SavedModel with the signature classify."
    )
    flags.DEFINE_string("attack", "fgsm", "fgsm, rand_fgsm, cw, mi_fgsm, pgd or single_pixel.")
    flags.DEFINE_multi_string(
        "set", [], "A parameter of the attack: --set=epsilon=0.2; may be repeated."
    )
    flags.DEFINE_integer(
        "label",
        None,
        "The true class of all images; without it each one's is what the classifier says.",
        0,
        9,
    )
    flags.DEFINE_integer("seed", 0, "Of the attacks that draw.", lower_bound=0)
    flags.DEFINE_integer("batch_size", 64, "Images at once.", lower_bound=1)


def main(arguments: Sequence[str]) -> None:
    """Reads all images, attacks them, then writes."""
    options = flags.FLAGS
    files, skipped = common.found(arguments)
    targets = image_io.destinations(files, options.out, options.overwrite) if options.out else None
    folder = Path(options.classifier).expanduser()
    if not (folder / "saved_model.pb").is_file():
        raise UserError(
            f"No SavedModel in --classifier={folder}; expected what the stage export wrote, like"
            " runs/quick/export/classifier."
        )
    import tensorflow as tf

    from madvae_tf.attacks import ATTACKS, DefendedModel, run_attack
    from madvae_tf.models.external_classifier import (
        load_saved_model,
        open_saved_model,
        shape_of_signature,
    )

    attack = build(lookup(ATTACKS, options.attack, "attack"), options.set)
    budget = attack.norm_budget
    if budget is not None and getattr(attack, "norm", "linf") == "linf" and budget < 1 / 255:
        logging.warning(
            "epsilon %g is less than a step of 8 bits, 0.0039: in the files nothing will be left of"
            " the change; raise it.",
            budget,
        )
    available = open_saved_model(folder).signatures
    named = next(
        (available[name] for name in ("classify", "serving_default") if name in available), None
    )
    shape = IMAGE_SHAPE if named is None else shape_of_signature(named, folder)
    found = [image_io.read(path, name, shape) for path, name in files]
    originals = np.stack([picture.pixels for picture in found])
    images = as_float(originals)
    classifier = load_saved_model(folder, images[:8])

    def probabilities(batch: np.ndarray) -> np.ndarray:
        size = options.batch_size
        parts = [classifier(batch[start : start + size]) for start in range(0, len(batch), size)]
        return tf.nn.softmax(tf.concat(parts, 0)).numpy()

    before = probabilities(images)
    labels = before.argmax(axis=1) if options.label is None else np.full(len(images), options.label)
    batch_size = min(options.batch_size, len(images))
    target = DefendedModel(logits=classifier)
    result = run_attack(attack, target, images, labels, (options.seed, 0), batch_size=batch_size)
    # Rounded towards the original, a budget holds in the file, too; without a budget the nearest
    # image is the attack's own.
    bounded = attack.norm_budget is not None
    written = (
        image_io.to_bytes_towards(result.x_adv, originals)
        if bounded
        else image_io.to_bytes(result.x_adv)
    )
    after = probabilities(as_float(written))
    difference = (as_float(written) - images).reshape(len(images), -1)
    records, lines = [], []
    for place, picture in enumerate(found):
        first, then = common.verdict(before[place]), common.verdict(after[place])
        notes = [
            *picture.notes,
            *_lost(result, place, written[place], originals[place], after[place], labels[place]),
        ]
        record: dict[str, Any] = {
            "file": str(picture.path),
            "notes": notes,
            "label": int(labels[place]),
            "before": first,
            "after": then,
            "success": then["label"] != int(labels[place]),
            "linf": round(float(np.abs(difference[place]).max()), 6),
            "l2": round(float(np.linalg.norm(difference[place])), 6),
        }
        line = f"{picture.path}: {common.summary(first)} -> {common.summary(then)}, "
        line += (
            f"{'wrong' if record['success'] else 'not fooled'}, L-inf {record['linf']:.3f}, L2"
            f" {record['l2']:.2f}"
        )
        line += common.written(written[place], None if targets is None else targets[place], record)
        records.append(record)
        lines.append(line + "".join(f"; {note}" for note in notes))
    document = {
        "classifier": str(folder),
        "attack": attack.name,
        "parameters": attack.parameters,
        "seed": options.seed,
        "images": records,
    }
    common.show(document, lines, skipped)


def _lost(
    result: Any,
    place: int,
    written: np.ndarray,
    original: np.ndarray,
    after: np.ndarray,
    label: int,
) -> list[str]:
    """What the rounding to 8 bits took from the attack on one image."""
    if result.linf[place] > 0 and (written == original).all():
        return ["nothing is left of the change in 8 bits, whose step is 0.0039: raise epsilon"]
    if result.success[place] and after.argmax() == label:
        return ["it fooled the classifier before it was rounded to 8 bits"]
    return []


def build(kind: Any, assignments: Sequence[str]) -> Any:
    """The attack `kind` with the parameters that "name=value" assignments say.

    Raises:
        UserError: an unknown parameter, or a value of another type or out of range.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise UserError(
                f"Invalid --set={assignment}: expected name=value, like --set=epsilon=0.2."
            )
        if name not in defaults:
            raise unknown_name(f"parameter of {kind.name}", name, defaults)
        values[name] = _parsed(text, type(defaults[name]))
    return kind(**values)


def _parsed(text: str, kind: type) -> Any:
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    try:
        return kind(text)
    except ValueError:
        return text  # The attack's own check says what it expects.


def run() -> None:
    """Entry point of `madvae-attack`."""
    common.run(main, define, __doc__ or "")


if __name__ == "__main__":
    run()
