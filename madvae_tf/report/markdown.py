"""`python -m madvae_tf.report.markdown runs/quick/report/results.json`: the main table in Markdown, for a README.

Each cell holds the accuracy, its 95% Wilson interval, and the agreement with the paper's figure in brackets.
"""

import json
import sys
from pathlib import Path
from typing import Any

from madvae_tf.errors import UserError
from madvae_tf.report.schema import ATTACKS, DEFENSES, Row


def table1_markdown(results: dict[str, Any]) -> str:
    """The rows of table1 as a Markdown table, with a line that says what they are."""
    rows = [row for row in results["rows"] if row["table"] == "table1"]
    defenses = [name for name in DEFENSES if any(row["defense"] == name for row in rows)]
    lines = [
        "| attack | n | " + " | ".join(DEFENSES[name] for name in defenses) + " |",
        "|---" * (len(defenses) + 2) + "|",
    ]
    for attack in [name for name in ATTACKS if any(row["attack"] == name for row in rows)]:
        found = {(row["defense"], row["metric"]): row for row in rows if row["attack"] == attack}
        n = next(iter(found.values()))["n"]
        cells = [_cell(found.get((name, "accuracy")), found.get((name, "agreement"))) for name in defenses]
        lines.append(f"| {ATTACKS[attack]} | {n} | " + " | ".join(cells) + " |")
    models = ", ".join(sorted({row["threat_model"] for row in rows}))
    run = results["run"]
    lines.append(
        f"\nThreat model: {models}. Dataset {run['dataset']}, configuration {run['name']}, seed {run['seed']}."
    )
    return "\n".join(lines)


def _cell(accuracy: Row | None, agreement: Row | None) -> str:
    if accuracy is None:
        return "–"
    text = f"**{accuracy['value']:.4f}** {accuracy['ci_low']:.4f}–{accuracy['ci_high']:.4f}"
    if accuracy["paper"] is not None:
        text += f" (paper {accuracy['paper']:.4f})"
    if agreement is not None:
        paper = "" if agreement["paper"] is None else f", paper {agreement['paper']:.4f}"
        text += f" (agreement {agreement['value']:.4f}{paper})"
    return text


def main(arguments: list[str]) -> None:
    """Prints the table of the results.json that the one argument names."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        raise UserError(f"Invalid arguments {arguments}: expected the path of one results.json.")
    results = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    sys.stdout.write(table1_markdown(results) + "\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
