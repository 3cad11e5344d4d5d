"""`python -m benchmarks.table`: `benchmarks/results.json` as a Markdown table for the README."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.rows import Row
from benchmarks.worker import ROOT
from madvae_tf.utils import console

_HEAD = ("what", "case", "ours", "peer", "its figure", "unit", "ratio", "target", "of the limit")


def markdown(document: dict[str, Any]) -> str:
    """The rows in their order, and the curves of CW; a ratio below its target is marked."""
    lines = [
        "| " + " | ".join(_HEAD) + " |",
        "|---" * len(_HEAD) + "|",
        *map(_line, document["rows"]),
    ]
    if document.get("curves"):
        lines += ["", "| CW-L2 | place | s | success | median L2 |", "|---|---|---|---|---|"]
        for library, places in document["curves"].items():
            for place in places:
                values = (
                    library,
                    place["place"],
                    f"{place['seconds']:.1f}",
                    f"{place['success']:.3f}",
                )
                near = f"{place['median_l2']:.3f}" if place["success"] > 0.5 else "none"
                lines.append(f"| {' | '.join((*values, near))} |")
    machine = document["machine"]
    lines += [
        "",
        (
            f"{machine['cores']} cores, {machine['system']} {machine['architecture']}; ratio > 1:"
            " ours is better."
        ),
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    ratio = f"**{row['ratio']:.2f}**"
    if "target" in row and row["ratio"] < row["target"]:
        ratio += " (missed)"
    cells = (
        row["question"].replace("_", " "),
        row["case"],
        _number(row["ours"]),
        row["peer_name"],
        _number(row["peer"]),
        row["unit"],
        ratio,
        f"{row['target']:g}" if "target" in row else "",
        f"{row['of_limit']:.2f}" if "of_limit" in row else "",
    )
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    """Three significant digits; whole from a hundred on."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def main(arguments: Sequence[str]) -> None:
    """Prints the table of the file that is named, or of `benchmarks/results.json`."""
    parser = console.parser(__doc__ or "", prog="python -m benchmarks.table")
    default = ROOT / "benchmarks" / "results.json"
    parser.add_argument("results", nargs="?", type=console.existing_file, default=default)
    path: Path = parser.parse_args(arguments).results
    sys.stdout.write(markdown(json.loads(path.read_text(encoding="utf-8"))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
