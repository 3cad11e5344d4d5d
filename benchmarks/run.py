"""`make bench`: every question, one after the other, to `benchmarks/results.json`.

    python -m benchmarks.run                      all questions; stopped, the same command goes on
    python -m benchmarks.run --only=training      one (or several, with commas)
    python -m benchmarks.run --quick              the smallest sizes, to see that everything runs; figures mean nothing

What is measured goes to --folder part by part; `--anew` begins again. Nothing else should run on
the machine meanwhile.
"""  # noqa: E501

import json
import platform
import shutil
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from absl import flags, logging

from benchmarks.questions import QUESTIONS
from benchmarks.rows import Row, check_row, missed
from benchmarks.session import Session
from benchmarks.worker import ROOT
from madvae_tf.utils import console
from madvae_tf.utils.errors import UserError, unknown_name
from madvae_tf.utils.machine import usable_cores

_ONLY = flags.DEFINE_list("only", [], f"Questions, of: {', '.join(QUESTIONS)}.")
_QUICK = flags.DEFINE_bool("quick", False, "The smallest sizes.")
_ANEW = flags.DEFINE_bool("anew", False, "Forget what was measured before.")
_FOLDER = flags.DEFINE_string(
    "folder", "", "Where parts are kept; empty: runs/bench, or runs/bench-quick."
)
_PEERS = flags.DEFINE_string(
    "peers", ".venv-peers/bin/python", "The Python of the peers' environment."
)
_WORKDIR = flags.DEFINE_string(
    "run", "runs/quick", "The pipeline's folder with the classifier; made there if missing."
)
_RESULTS = flags.DEFINE_string(
    "results",
    "",
    "The file to write; empty: benchmarks/results.json, or results.json in --folder with --quick.",
)


def main(argv: Sequence[str]) -> None:
    """Measures what is asked for and writes the results."""
    if len(argv) > 1:
        raise UserError(f"Unknown argument {argv[1]!r}. Expected flags only, like --only=training.")
    for name in _ONLY.value:
        if name not in QUESTIONS:
            raise unknown_name("question", name, QUESTIONS)
    peers = Path(_PEERS.value).absolute()
    if not peers.exists():
        raise UserError(
            f"No Python of the peers' environment at {peers}; `make bench` makes it, or name it"
            " with --peers."
        )
    folder = Path(_FOLDER.value or ("runs/bench-quick" if _QUICK.value else "runs/bench"))
    if _ANEW.value:
        shutil.rmtree(folder / "parts", ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    session = Session(folder, peers, Path(_WORKDIR.value), _QUICK.value)
    path = Path(_RESULTS.value) if _RESULTS.value else _default_results(folder)
    measured: dict[str, list[Row]] = {}
    for name, measure in QUESTIONS.items():
        if not _ONLY.value or name in _ONLY.value:
            start = time.perf_counter()
            measured[name] = measure(session)
            logging.info("%s: %.0f s", name, time.perf_counter() - start)
    document = merge(_read(path), measured, _facts())
    if "carlini_wagner" in measured:
        # Every place was measured: this only reads them.
        from benchmarks.questions.carlini_wagner import curves

        document["curves"] = curves(session)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
    failed = missed(document["rows"])
    logging.info("%d rows in %s, %d below their target.", len(document["rows"]), path, len(failed))
    for row in failed:
        words = (row["question"], row["case"], row["peer_name"], row["ratio"], row["target"])
        logging.warning("%s, %s against %s: %.2f, target %.2f", *words)


def merge(
    before: dict[str, Any], measured: dict[str, list[Row]], facts: dict[str, Any]
) -> dict[str, Any]:
    """The document with the rows of the questions that were measured now in the place of their old
    ones.
    """
    kept = [row for row in before.get("rows", []) if row["question"] not in measured]
    rows = [row for name in QUESTIONS for row in [*_of(kept, name), *measured.get(name, [])]]
    for row in rows:
        check_row(row)
    return {"schema": 1, **facts, "rows": rows, "curves": before.get("curves", {})}


def _of(rows: list[Row], question: str) -> list[Row]:
    return [row for row in rows if row["question"] == question]


def _default_results(folder: Path) -> Path:
    return folder / "results.json" if _QUICK.value else ROOT / "benchmarks" / "results.json"


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _facts() -> dict[str, Any]:
    """The machine and the libraries of this environment."""
    return {
        "machine": {
            "cores": usable_cores(),
            "system": platform.system(),
            "architecture": platform.machine(),
        },
        "versions": {
            name: metadata.version(name) for name in ("tensorflow", "keras", "numpy", "cleverhans")
        },
        "peers": (ROOT / "benchmarks" / "peers.txt").read_text(encoding="utf-8").split("\n"),
    }


if __name__ == "__main__":
    console.run(
        main,
        __doc__ or "",
        ("only", "quick", "anew", "folder", "peers", "run", "results"),
        "interrupted; the same command goes on from what is measured.",
    )
