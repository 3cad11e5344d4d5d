"""What the commands for image files share: flags, one line for a user's mistake, output for people
or as JSON.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags, logging

from madvae_tf.data import image_io
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError


def define_common() -> None:
    """The flags of every such command. Defined on the call, so that one process may hold several
    commands.
    """
    flags.DEFINE_string(
        "out",
        "",
        "Folder for the PNG files that are made; made if need be. Empty: none are written.",
    )
    flags.DEFINE_bool("overwrite", False, "Replace files that are in --out already.")
    flags.DEFINE_bool("json", False, "Print one JSON document in place of lines.")


def run(main: Callable[[Sequence[str]], None], define: Callable[[], None], document: str) -> None:
    """Parses flags and calls `main(arguments)`; a `UserError` becomes one line on standard error
    and exit status 2.

    Args:
        define: defines the command's flags.
        document: what --help says before the flags.
    """
    known = set(flags.FLAGS)
    define()
    own = set(flags.FLAGS) - known
    console.run(lambda argv: main(argv[1:]), document, own, level=logging.WARNING)


def found(arguments: Sequence[str]) -> tuple[list[tuple[Path, str]], list[dict[str, str]]]:
    """The pictures that the arguments mean (`image_io.find`), each read once, and those of folders
    and patterns that cannot be read.

    Returns:
        (path, name of the result) of each good one; {"file", "error"} of each bad one.

    Raises:
        UserError: there is none, none can be read, or one that is named itself cannot.
    """
    files, good, bad = image_io.find(arguments), [], []
    named = {Path(argument).expanduser() for argument in arguments}
    for path, name in files:
        try:
            image_io.read(path, name)
            good.append((path, name))
        except UserError as error:
            if path in named or len(bad) + 1 == len(files):
                raise
            bad.append({"file": str(path), "error": str(error)})
    return good, bad


def verdict(probabilities: Any) -> dict[str, Any]:
    """{"label", "confidence"} of one row of probabilities."""
    return {
        "label": int(probabilities.argmax()),
        "confidence": round(float(probabilities.max()), 6),
    }


def summary(found: dict[str, Any] | None) -> str:
    """ "7 (0.98)"; "?" for None."""
    return "?" if found is None else f"{found['label']} ({found['confidence']:.4f})"


def written(pixels: np.ndarray, target: Path | None, record: dict[str, Any]) -> str:
    """Writes uint8 (height, width, channels) to `target`, if there is one, and says so: in
    `record`, and in what it returns for the line.
    """
    if target is None:
        return ""
    image_io.write(pixels, target)
    record["written"] = str(target)
    return f", written to {target}"


def show(
    document: dict[str, Any], lines: Sequence[str], skipped: Sequence[dict[str, str]] = ()
) -> None:
    """Prints `document` with --json, else `lines`; `skipped` of `found` stand at the end of either."""  # noqa: E501
    if skipped:
        document = {**document, "skipped": list(skipped)}
        lines = [*lines, *(f"{each['file']}: skipped: {each['error']}" for each in skipped)]
    text = json.dumps(document, indent=2) if flags.FLAGS.json else "\n".join(lines)
    sys.stdout.write(f"{text}\n")
