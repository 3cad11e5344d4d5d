"""What evaluations have found, and what those that go on, or were stopped, have found so far:
python -m madvae_tf.evaluation FOLDER...

A file is what `Evaluation.save` wrote: a line each accuracy. Each folder, or one below it, holds
the rows of finished stages (`rows.json`), a line each accuracy, each share that only attacks
without gradients fool and each detector's area under the ROC curve; or files of trials
(`evaluate(folder=...)`; a stage's `.partial/.scratch/trials`), a line a file: the runs of the
attack that are finished, the images that the run going on has visited, and how many images are
right after all that: an upper bound of what will be left.

With --union first: how many images of one defence are right whatever was done to them in all
finished stages of these folders, several budgets and norms among them (Tramer and Boneh 2019);
those must be of the same images.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.evaluation.store import read_progress
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError, as_one_line

_ROWS = "rows.json"
_PRINTED = {
    "accuracy": "right",
    "beyond_gradients_share": "fools, and no gradient did,",
    "auc": "AUC",
}


def lines(folders: Sequence[Path]) -> Iterator[str]:
    """A line a figure of a finished stage, a line a trial.

    Raises:
        UserError: a folder without either, or a damaged file.
    """
    for folder in folders:
        if folder.is_file():
            yield from _figures(folder)
            continue
        finished = sorted(folder.rglob(_ROWS))
        files = [
            path for path in sorted(folder.rglob("*.npz")) if not (path.parent / _ROWS).exists()
        ]
        if not files and not finished:
            raise UserError(
                f"No rows and no trials in {folder}; expected a folder that an evaluation keeps its"
                " files in."
            )
        for path in finished:
            yield from _figures(path)
        for path in files:
            found = read_progress(path)
            n, robust, visited = (
                len(found.robust),
                int(found.robust.sum()),
                int(found.visited.sum()),
            )
            going = f", {visited} images into the next" if visited else ""
            yield (
                f"{path.name.rpartition('-')[0].rpartition('-')[0]}: {len(found.n_robust)} runs"
                f" finished{going}; right {_of(robust, n)}"
            )


def union(folders: Sequence[Path]) -> str:
    """The line of --union.

    Raises:
        UserError: no finished attack in a folder, or attacks on different defences or images.
    """
    found: dict[str, tuple[list, list[np.ndarray], bool]] = {}
    for folder in folders:
        files = sorted(folder.rglob("right.npz"))
        if not files:
            raise UserError(
                f"No finished attack in {folder}; expected the folder of a stage or one above."
            )
        found |= {path.parent.name: _attacked(path) for path in files}
    (first, (whom, *_)), *others = found.items()
    for name, (other, *_) in others:
        if other != whom:
            raise UserError(
                f"Invalid folders: {name} is of another defence or other images than {first},"
                " expected the same."
            )
    kept = np.logical_and.reduce([robust for _, attacks, _ in found.values() for robust in attacks])
    hits, n = int(kept.sum()), len(kept)
    # An image that an attack did not meet counts as right under it.
    bound = "" if all(whole for *_, whole in found.values()) else ", an upper bound"
    return f"{whom[1]}, all of {', '.join(found)}: right {_of(hits, n)}{bound}"


def _attacked(path: Path) -> tuple[list, list[np.ndarray], bool]:
    """Dataset, defence, seed and who is right as it is, which tell the images; who is right after
    each attack, bool (n,); whether each met all images.
    """
    config = json.loads((path.parent / "manifest.json").read_text(encoding="utf-8"))["config"]
    with np.load(path, allow_pickle=False) as file:
        robust = {name: file[name] for name in file if name != "attacked"}
        whole = "attacked" not in file or bool(file["attacked"].all())
    whom = [*(config[name] for name in ("dataset", "defense", "seed")), robust["clean"].tolist()]
    return whom, [*robust.values()], whole


def _of(robust: int, n: int) -> str:
    # Loads TensorFlow, for which --help does not wait.
    from madvae_tf.evaluation.intervals import wilson_interval

    return _share(robust / n, wilson_interval(robust, n), n)


def _share(value: float, interval: tuple[float, float], n: int) -> str:
    return f"{value:.4f} [{interval[0]:.4f}, {interval[1]:.4f}] n = {n}"


def _value(row: dict[str, Any]) -> str:
    if row["ci_low"] is None:
        return f"{row['value']:.4f} n = {row['n']}"
    return _share(row["value"], (row["ci_low"], row["ci_high"]), row["n"])


def _figures(path: Path) -> Iterator[str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        for row in found["rows"] if isinstance(found, dict) else found:
            if row["metric"] not in _PRINTED:
                continue
            own = row["parameters"]
            place = [
                f"{own[name]:g}" if isinstance(own[name], float) else str(own[name])
                for name in (
                    "norm",
                    "epsilon",
                    "curve",
                    "at",
                    "kind",
                    "severity",
                    "detector",
                    "among",
                )
                if name in own
            ]
            where = ", ".join(
                [row["defense"], row["threat_model"], *([" ".join(place)] if place else [])]
            )
            bound = ", an upper bound" if "partial" in own else ""
            over = "".join(f", {own[name]}" for name in ("over", "met") if name in own)
            first = f"{own['after']}, then " if "after" in own else ""
            yield (
                f"{where}: {first}{row['attack']}{over}: {_PRINTED[row['metric']]}"
                f" {_value(row)}{bound}"
            )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"Damaged file of rows: {path} ({error}); delete the stage's folder and run again."
        ) from None


def main(arguments: Sequence[str]) -> str:
    """What is printed.

    Raises:
        UserError: there is nothing to print; see `lines` and `union`.
    """
    parser = console.parser(__doc__ or "", prog="python -m madvae_tf.evaluation")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--union",
        action="store_true",
        help="one line: who is right after all attacks of all the folders",
    )
    given = parser.parse_args(arguments)
    folders = [folder.expanduser() for folder in given.folders]
    return union(folders) if given.union else "\n".join(lines(folders))


def run() -> None:
    """Entry point."""
    console.quiet()
    with as_one_line("interrupted"):
        sys.stdout.write(main(sys.argv[1:]) + "\n")


if __name__ == "__main__":
    run()
