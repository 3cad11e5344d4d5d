"""Purifies image files with an exported purifier, and shows what the classifier says before and
after.

    madvae-purify digit.png scans/ 'more/*.jpg' --export=runs/quick/export/combined --out=purified

Images are PNG or JPEG files, folders of them, or patterns. Any size and colour is converted to the
purifier's, 28 x 28 grey for MNIST's, with a note; light and dark stay as they are (MNIST's digits
are light on dark). The purified images are PNG files of that size in --out.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from absl import flags

from madvae_tf.cli import common
from madvae_tf.data import image_io
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import Shape, as_float


def define() -> None:
    """The command's flags."""
    common.define_common()
    flags.DEFINE_string(
        "export",
        "runs/quick/export/combined",
        "The exported purifier: a SavedModel with purify and classify.",
    )
    flags.DEFINE_string(
        "classifier",
        "",
        'The exported classifier alone, for what it says before; empty: the folder "classifier"'
        " beside --export.",
    )
    flags.DEFINE_integer("batch_size", 256, "Images at once.", lower_bound=1)


def main(arguments: Sequence[str]) -> None:
    """Reads all images, then classifies and purifies them, then writes."""
    options = flags.FLAGS
    files, skipped = common.found(arguments)
    targets = image_io.destinations(files, options.out, options.overwrite) if options.out else None
    export = Path(options.export).expanduser()
    if not (export / "saved_model.pb").is_file():
        raise UserError(
            f"No SavedModel in --export={options.export}; expected what the stage export or"
            " defense.export wrote, like runs/quick/export/combined."
        )
    beside = (
        Path(options.classifier).expanduser()
        if options.classifier
        else export.parent / "classifier"
    )
    if options.classifier and not (beside / "saved_model.pb").is_file():
        raise UserError(f"No SavedModel in --classifier={beside}; expected an exported classifier.")
    alone = beside if (beside / "saved_model.pb").is_file() else None
    shape, defended = signatures(export, ("purify", "classify"))
    found = [image_io.read(path, name, shape) for path, name in files]
    images = np.stack([picture.pixels for picture in found])
    before = None
    if alone is not None:
        its, functions = signatures(alone, ("classify",))
        if its != shape:
            raise UserError(
                f"The classifier {alone} takes images {its}, the purifier {options.export} {shape};"
                " expected one shape: name the classifier that belongs to the purifier with"
                " --classifier."
            )
        before = in_batches(functions["classify"], images, options.batch_size)
    purified = in_batches(defended["purify"], images, options.batch_size)
    after = in_batches(defended["classify"], images, options.batch_size)
    records, lines = [], []
    for place, picture in enumerate(found):
        first = None if before is None else common.verdict(before[place])
        then = common.verdict(after[place])
        record = {
            "file": str(picture.path),
            "notes": list(picture.notes),
            "before": first,
            "after": then,
        }
        line = f"{picture.path}: {common.summary(first)} -> {common.summary(then)}"
        line += common.written(
            image_io.to_bytes(purified[place]), None if targets is None else targets[place], record
        )
        records.append(record)
        lines.append(line + "".join(f"; {note}" for note in picture.notes))
    if alone is None:
        lines.append(
            f"? stands for what the classifier says before: there is none in {beside}; name one"
            " with --classifier."
        )
    document = {
        "export": options.export,
        "classifier": None if alone is None else str(alone),
        "images": records,
    }
    common.show(document, lines, skipped)


def signatures(
    folder: Path, names: Sequence[str]
) -> tuple[Shape, dict[str, Callable[[np.ndarray], np.ndarray]]]:
    """What images a SavedModel takes, and functions of its signatures.

    Returns:
        (height, width, channels); name -> float32 (n, height, width, channels) in [0, 1] -> the
        array that the signature gives.

    Raises:
        UserError: it cannot be read, or lacks one of them.
    """
    import tensorflow as tf

    from madvae_tf.models.external_classifier import open_saved_model, shape_of_signature

    loaded = open_saved_model(folder)
    if missing := [name for name in names if name not in loaded.signatures]:
        raise UserError(
            f"The SavedModel {folder} has no signature {missing[0]}; it has:"
            f" {', '.join(sorted(loaded.signatures)) or 'none'}; expected an exported purifier for"
            " --export, and an exported classifier for --classifier."
        )

    def bind(name: str) -> Callable[[np.ndarray], np.ndarray]:
        def call(images: np.ndarray) -> np.ndarray:
            (value,) = loaded.signatures[name](images=tf.constant(images, tf.float32)).values()
            return value.numpy()

        return call

    return shape_of_signature(loaded.signatures[names[0]], folder), {
        name: bind(name) for name in names
    }


def in_batches(
    function: Callable[[np.ndarray], np.ndarray], images: np.ndarray, size: int
) -> np.ndarray:
    """`function` of uint8 (n, height, width, channels), `size` at a time, as float32 in [0, 1]; n
    is at least 1.
    """
    parts = [
        function(as_float(images[start : start + size])) for start in range(0, len(images), size)
    ]
    return np.concatenate(parts)


def run() -> None:
    """Entry point of `madvae-purify`."""
    common.run(main, define, __doc__ or "")


if __name__ == "__main__":
    run()
