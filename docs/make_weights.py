"""Writes models small enough to be committed: `python docs/make_weights.py FOLDER FILE.keras...`
writes each file's model to FOLDER.

Weights are rounded to the 11 significant bits of float16, with float32's range, and the zeros that
this leaves are deflated. What is published of such a model is measured on the rounded one.
"""

import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from madvae_tf.utils import console

# Bits of float32's significand that go.
_DROPPED = 13


def rounded(values: np.ndarray) -> np.ndarray:
    """Float32 -> float32 of any shape: the nearest with 11 significant bits, a tie away from zero."""  # noqa: E501
    bits = np.asarray(values, np.float32).view(np.uint32)
    half = np.uint32(1 << (_DROPPED - 1))
    return ((bits + half) & ~np.uint32((1 << _DROPPED) - 1)).view(np.float32)


def write_rounded(source: Path, target: Path) -> None:
    """The model of the `.keras` file `source`, rounded, as the `.keras` file `target`."""
    from madvae_tf.defenses.files import load_keras

    model = load_keras(source)
    model.set_weights([rounded(weights) for weights in model.get_weights()])
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "model.keras"
        model.save(plain)
        with (
            zipfile.ZipFile(plain) as read,
            zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as written,
        ):
            for name in read.namelist():
                # A fixed date: the same weights are the same bytes.
                entry = zipfile.ZipInfo(name)
                entry.compress_type = zipfile.ZIP_DEFLATED
                written.writestr(entry, read.read(name))


if __name__ == "__main__":
    console.quiet()
    parser = console.parser(__doc__ or "")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("files", type=console.existing_file, nargs="+", metavar="FILE.keras")
    given = parser.parse_args()
    out: Path = given.folder
    out.mkdir(parents=True, exist_ok=True)
    for path in given.files:
        write_rounded(path, out / path.name)
        sys.stdout.write(f"{out / path.name}: {(out / path.name).stat().st_size / 1e6:.2f} MB\n")
