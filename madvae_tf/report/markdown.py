"""`python -m madvae_tf.report.markdown runs/quick/report/results.json`: the tables in Markdown, for a README.

Each cell holds the accuracy, its 95% Wilson interval, and the agreement with the paper's figure in brackets. A cell of
several seeds holds their mean, the 95% t-interval of the mean, the standard deviation and each seed's figure.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from madvae_tf.report import opening
from madvae_tf.report.markdown_further import further_markdown
from madvae_tf.report.names import ATTACKS, DEFENSES, Row
from madvae_tf.report.seeds import mean_rows
from madvae_tf.utils import console


def table1_markdown(results: dict[str, Any]) -> str:
    """The rows of table1 as a Markdown table, with a line that says what they are."""
    rows = mean_rows([row for row in results["rows"] if row["table"] == "table1"])
    defenses = [name for name in DEFENSES if any(row["defense"] == name for row in rows)]
    lines = [
        "| attack | n | " + " | ".join(DEFENSES[name] for name in defenses) + " |",
        "|---" * (len(defenses) + 2) + "|",
    ]
    for attack, n, settings in _lines(rows):
        found = {(row["defense"], row["metric"]): row for row in settings}
        cells = [_cell(found.get((name, "accuracy")), found.get((name, "agreement"))) for name in defenses]
        lines.append(f"| {attack} | {n} | " + " | ".join(cells) + " |")
    models = ", ".join(sorted({row["threat_model"] for row in rows}))
    run = results["run"]
    lines.append(
        f"\nThreat model: {models}. Dataset {run['dataset']}, configuration {run['name']}, seed {run['seed']}."
    )
    if any("seeds" in row for row in rows):
        lines.append(
            "Cells with a standard deviation (sd) are means over seeds, with the 95% t-interval of the mean: it covers what differs "
            "from seed to seed, not the draw of the test images."
        )
    return "\n".join(lines)


def _lines(rows: Sequence[Row]) -> list[tuple[str, int, list[Row]]]:
    """Title, n and rows of each line: one a setting of an attack, named where an attack has several."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        shared = [row.get(name) for name in ("dataset", "attack", "parameters", "threat_model", "n")]
        groups.setdefault(json.dumps(shared, sort_keys=True), []).append(row)
    lines = []
    for attack in ATTACKS:
        own = [group for group in groups.values() if group[0]["attack"] == attack]
        for group in own:
            first = group[0]
            given = ", ".join(f"{name} {value}" for name, value in first.get("parameters", {}).items())
            setting = f" ({', '.join(part for part in (given, first['threat_model']) if part)})"
            lines.append((ATTACKS[attack] + (setting if len(own) > 1 else ""), first["n"], group))
    return lines


def _cell(accuracy: Row | None, agreement: Row | None) -> str:
    if accuracy is None:
        return "–"
    text = (
        f"**{accuracy['value']:.4f}** {accuracy['ci_low']:.4f}–{accuracy['ci_high']:.4f}{_several(accuracy)}"
    )
    if accuracy["paper"] is not None:
        text += f" (paper {accuracy['paper']:.4f})"
    if agreement is not None:
        paper = "" if agreement["paper"] is None else f", paper {agreement['paper']:.4f}"
        text += f" (agreement {agreement['value']:.4f}{_several(agreement)}{paper})"
    return text


def _several(row: Row) -> str:
    if "seeds" not in row:
        return ""
    each = ", ".join(f"{seed}: {value:.4f}" for seed, value in row["seeds"].items())
    return f" sd {row['deviation']:.4f} [seeds {each}]"


def tables_markdown(results: dict[str, Any]) -> str:
    """All tables of `results`, and a newline."""
    parts = (opening.markdown(results), table1_markdown(results), further_markdown(results))
    return "\n\n".join(filter(None, parts)) + "\n"


def main(arguments: list[str]) -> None:
    """Prints the tables of the results.json that the one argument names; exits with status 2 where there is none."""
    parser = console.parser(__doc__ or "", prog="python -m madvae_tf.report.markdown")
    parser.add_argument("results", type=console.existing_file, metavar="results.json")
    path: Path = parser.parse_args(arguments).results
    sys.stdout.write(tables_markdown(json.loads(path.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main(sys.argv[1:])
