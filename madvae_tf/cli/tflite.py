"""Converts an exported purifier to TensorFlow Lite, and measures the result against the SavedModel.

    madvae-tflite runs/quick/export/combined --precision=int8 --data=my-data --n=1000 --out=combined.tflite

--data is an NPZ file, a folder of IDX files or a tree of pictures. Its training images calibrate
int8, its test images measure; where it has no parts, the first four fifths calibrate and the rest
measures.
"""  # noqa: E501

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from madvae_tf.cli import common
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.files import written

_CALIBRATION = 200


def define() -> None:
    """The command's flags."""
    flags.DEFINE_string("out", "", "The .tflite file to write; empty: the folder's name beside it.")
    flags.DEFINE_bool("overwrite", False, "Replace --out where it is there already.")
    flags.DEFINE_bool("json", False, "Print one JSON document in place of lines.")
    flags.DEFINE_enum(
        "precision", "float16", ["float32", "float16", "int8"], "Of the converted model."
    )
    flags.DEFINE_enum("signature", "classify", ["purify", "classify"], "What the file does.")
    flags.DEFINE_string("data", "", "Labelled images; needed for int8, and to measure.")
    flags.DEFINE_integer(
        "n", 1000, "At most so many test images measure, evenly spaced.", lower_bound=1
    )


def main(arguments: Sequence[str]) -> None:
    """Converts, measures if there are images, then writes."""
    options = flags.FLAGS
    if len(arguments) != 1:
        raise UserError(
            f"Received {len(arguments)} arguments, expected one: the folder of an exported"
            " purifier."
        )
    folder = Path(arguments[0]).expanduser()
    target = Path(options.out).expanduser() if options.out else folder.with_suffix(".tflite")
    if target.exists() and not options.overwrite:
        raise UserError(
            f"{target} is there already; choose another file with --out, or pass --overwrite."
        )
    if options.precision == "int8" and not options.data:
        raise UserError("--precision=int8 needs images to calibrate with: --data=PATH.")
    if not (folder / "saved_model.pb").is_file():
        raise UserError(f"No SavedModel in {folder}; expected what the stage export wrote.")
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.readers import has_splits, read_dataset
    from madvae_tf.export import tflite as export_tflite

    known, measured = None, None
    if options.data:
        known = read_dataset(options.data, "train", None)
        measured = read_dataset(options.data, "test", None)
        if not has_splits(options.data):
            edge = len(known.labels) * 4 // 5
            known = dataclasses.replace(
                known, images=known.images[:edge], labels=known.labels[:edge]
            )
            measured = dataclasses.replace(
                measured, images=measured.images[edge:], labels=measured.labels[edge:]
            )
    calibrating = None
    if known is not None:
        calibrating = known.images[evenly_spaced(len(known.labels), _CALIBRATION)]
    content = export_tflite.convert(folder, options.precision, options.signature, calibrating)
    document = {
        "export": str(folder),
        "precision": options.precision,
        "signature": options.signature,
        "file": str(target),
    }
    lines = [f"{target}: {options.precision}, {len(content) / 1e6:.2f} MB"]
    if measured is not None and options.signature == "classify":
        rows = evenly_spaced(len(measured.labels), options.n)
        found = export_tflite.compare(folder, content, measured.images[rows], measured.labels[rows])
        document["measured"] = dataclasses.asdict(found)
        lines.append(
            f"accuracy {found.converted:.4f}, the SavedModel {found.saved_model:.4f}; they agree on"
            f" {found.agreement:.4f} of {found.n} images; no probability differs by more than"
            f" {found.largest_difference:.2g}"
        )
    try:
        with written(target) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise UserError(
            f"Cannot write {target}: {error.strerror or error}; choose another file with --out."
        ) from error
    common.show(document, lines)


def run() -> None:
    """Entry point of `madvae-tflite`."""
    common.run(main, define, __doc__ or "")


if __name__ == "__main__":
    run()
