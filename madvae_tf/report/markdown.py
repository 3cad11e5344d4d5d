"""The tables in Markdown, for a README.

Usage: `python -m madvae_tf.report.markdown runs/quick/report/results.json`.
They are the page's own: each cell holds value, 95% interval and what else the page shows.
"""

import json
import sys
from pathlib import Path
from typing import Any

from madvae_tf.report import (
    baselines,
    black_box,
    clusters,
    opening,
    reference,
    table1,
    timing,
    verdict,
)
from madvae_tf.report.formats import to_markdown
from madvae_tf.report.seeds import mean_rows
from madvae_tf.report.table import Table
from madvae_tf.utils import console


def tables_markdown(results: dict[str, Any]) -> str:
    """The result, Tables 1, 3 and 4, baselines, time, clusters, reference settings, verdicts."""
    rows, run = results["rows"], results.get("run") or {}
    parts = [
        *table1.tables(rows),
        *black_box.section(rows),
        *baselines.section(rows, run),
        *timing.section(rows, run),
        *clusters.measures(rows),
        *reference.section(rows),
        *verdict.section(mean_rows([row for row in rows if row["table"] == "robustness"])),
    ]
    tables = [to_markdown(part) for part in parts if isinstance(part, Table)]
    return "\n\n".join(filter(None, [opening.markdown(results), *tables])) + "\n"


def main(arguments: list[str]) -> None:
    """Prints the tables of the results.json that the argument names; exits with 2 without one."""
    parser = console.parser(__doc__ or "", prog="python -m madvae_tf.report.markdown")
    parser.add_argument("results", type=console.existing_file, metavar="results.json")
    path: Path = parser.parse_args(arguments).results
    sys.stdout.write(tables_markdown(json.loads(path.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main(sys.argv[1:])
