"""What an evaluation that goes on, or was stopped, has found so far: python -m madvae_tf.robustness FOLDER...

Each folder, or one below it, holds files of trials (`evaluate(folder=...)`; a stage's `.partial/.scratch/trials`). A line a file: the runs of the attack
that are finished, the images that the run going on has visited, and how many images are right after all that: an upper bound of what
will be left.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from madvae_tf.errors import UserError
from madvae_tf.evaluate import wilson_interval
from madvae_tf.robustness.store import read_progress


def lines(folders: Sequence[Path]) -> Iterator[str]:
    """A line a trial.

    Raises:
        UserError: a folder without files of trials, or a damaged file.
    """
    for folder in folders:
        files = sorted(folder.rglob("*.npz"))
        if not files:
            raise UserError(
                f"No trials in {folder}; expected a folder that an evaluation keeps its files in."
            )
        for path in files:
            found = read_progress(path)
            n, right, visited = len(found.right), int(found.right.sum()), int(found.visited.sum())
            low, high = wilson_interval(right, n)
            going = f", {visited} images into the next" if visited else ""
            yield (
                f"{path.name.rpartition('-')[0].rpartition('-')[0]}: {len(found.left)} runs finished{going}; right {right / n:.4f} "
                f"[{low:.4f}, {high:.4f}] n = {n}"
            )


def main(arguments: Sequence[str]) -> str:
    """What is printed; exits with a line where there is nothing to print."""
    if not arguments:
        sys.exit("usage: python -m madvae_tf.robustness FOLDER...")
    try:
        return "\n".join(lines([Path(argument) for argument in arguments]))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]) + "\n")
