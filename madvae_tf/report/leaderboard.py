"""A leaderboard page from model_info files: `madvae_tf.benchmark`'s, and those of RobustBench.

Usage: `python -m madvae_tf.report.leaderboard FOLDER [FOLDER ...] --out=leaderboard.html`.

Below the folders every `.json` file that lies in a folder `model_info` counts. A file whose
`source` does not say that this project measured it is shown as its authors'.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from madvae_tf.report import rendering
from madvae_tf.report.names import NORMS
from madvae_tf.report.parts import Section, paragraph
from madvae_tf.report.table import Cell, Figure, Table
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError, as_one_line

MEASURED = "measured by madvae_tf"
# In RobustBench's files the folder above a file says the norm.
_FOLDERS = {"Linf": "linf", "L2": "l2"}
_ROBUST = ("external", "robust_acc", "autoattack_acc")
_COLUMNS = ("Model", "Kind", "Clean", "Robust", "n", "Attack", "Forward passes", "Source")


def read(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The entries below the folders.

    Raises:
        UserError: there is none, or a file is damaged.
    """
    found = []
    for path in sorted(each for folder in folders for each in folder.rglob("*.json")):
        if "model_info" in path.parts:
            found.append(_entry(path))
    if not found:
        raise UserError(
            f"No model_info files below {', '.join(map(str, folders))}; expected what"
            " madvae_tf.benchmark(..., to_disk=FOLDER) wrote."
        )
    return found


def _entry(path: Path) -> dict[str, Any]:
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        robust = min(float(info[name]) for name in _ROBUST if info.get(name) not in (None, ""))
        return {
            **info,
            "norm": info.get("norm") or _FOLDERS[path.parent.name],
            "dataset": info["dataset"],
            "eps": _number(str(info["eps"])),
            "clean": float(info["clean_acc"]) / 100,
            "robust": robust / 100,
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no model_info file ({type(error).__name__}: {error}); expected what"
            " madvae_tf.benchmark or RobustBench wrote."
        ) from error


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    return float(above) / float(below or 1)


def page(entries: Sequence[Mapping[str, Any]]) -> str:
    """The page: a table for each data set, norm and budget, the most robust model first."""
    groups: dict[tuple[str, str, float], list[Mapping[str, Any]]] = {}
    for each in entries:
        groups.setdefault((each["dataset"], each["norm"], each["eps"]), []).append(each)
    first = paragraph(
        "Accuracy on test images, without an attack and under the attack of the row, by an attacker"
        " who knows the whole system; 95% Wilson intervals where images were counted here. Figures"
        " of others are theirs: other images, other attacks, other code."
    )
    sections = [
        Section(f"board-{place}", _title(*key), [_table(place, key, groups[key])])
        for place, key in enumerate(sorted(groups))
    ]
    return rendering.page("Leaderboard", [Section("about", "What is shown", [first]), *sections])


def _title(dataset: str, norm: str, epsilon: float) -> str:
    return f"{dataset}, {NORMS[norm]} {epsilon:.4g}"


def _table(place: int, key: tuple[str, str, float], entries: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for each in sorted(entries, key=lambda each: -each["robust"]):
        n = each.get("n")
        ours = str(each.get("source", "")).startswith(MEASURED)
        name = each.get("model") or each.get("name") or "unnamed"
        attack = (
            ", ".join(each["attacks"]) if "attacks" in each else each.get("attack", "AutoAttack")
        )
        figures = [
            Cell(figures=(Figure(each[which], _interval(each, which), n),))
            for which in ("clean", "robust")
        ]
        source = each["source"] if ours else f"published: {_origin(each)}"
        passes = str(each.get("number_forward_passes", "1"))
        kind = each.get("kind") or "adversarial training"
        cells = [Cell(name), Cell(kind), *figures, Cell.of(n) if n else Cell("–"), Cell(attack)]
        rows.append((*cells, Cell(passes), Cell(source)))
    return Table(f"leaderboard-{place}", f"{_title(*key)}.", "", [*map(Cell, _COLUMNS)], rows)


def _interval(each: Mapping[str, Any], which: str) -> tuple[float, float] | None:
    ends = each.get(f"{which}_interval")
    return (ends[0], ends[1]) if ends else None


def _origin(each: Mapping[str, Any]) -> str:
    parts = [each.get(name) for name in ("source", "authors", "venue", "link")]
    return ", ".join(str(part) for part in parts if part) or "source unknown"


def main(arguments: Sequence[str]) -> None:
    """Writes the page."""
    parser = console.parser(__doc__ or "", prog="python -m madvae_tf.report.leaderboard")
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=Path("leaderboard.html"), help="the page")
    given = parser.parse_args(arguments)
    text = page(read([folder.expanduser() for folder in given.folders]))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(text, encoding="utf-8")


def run() -> None:
    """Entry point."""
    console.quiet()
    with as_one_line("interrupted"):
        main(sys.argv[1:])


if __name__ == "__main__":
    run()
