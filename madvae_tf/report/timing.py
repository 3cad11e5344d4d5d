"""How long a defence takes for an image, one at a time and in batches."""

from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.report import summary
from madvae_tf.report.grids import GRID
from madvae_tf.report.markup import DASH, optional, seed_list, several, table, text
from madvae_tf.report.names import DEFENSES, Row
from madvae_tf.report.seeds import mean_rows, seeds_of


def section(rows: Sequence[Row], run: Mapping[str, Any]) -> str:
    """Milliseconds per image, defences in rows and batch sizes in columns; nothing without rows."""
    found = mean_rows([row for row in rows if row["table"] == "time"])
    if not found:
        return ""
    batches = sorted({row["parameters"]["batch"] for row in found})
    body = []
    for defense in (name for name in DEFENSES if any(row["defense"] == name for row in found)):
        own = [row for row in found if row["defense"] == defense]
        cells = [
            "".join(_cell(row) for row in own if row["parameters"]["batch"] == batch) or DASH
            for batch in batches
        ]
        body.append([DEFENSES[defense], *cells])
    cores = (run.get("machine") or {}).get("cores")
    machine = f", on {text(cores)} CPU cores" if cores else ""
    caption = (
        f"<b>Milliseconds per image</b> of the whole system, defence and classifier{machine}; No defence is the classifier alone. "
        f"Clean images, {seed_list(seeds_of(found))}; the median where a number of rounds is given.{summary.several_seeds(found)}"
    )
    head = [
        "Defence",
        *("One image at a time" if batch == 1 else f"In batches of {batch}" for batch in batches),
    ]
    return table("image-time", caption, head, body, attributes=GRID)


def milliseconds(value: float) -> str:
    """Three digits that mean something: "0.123", "1.23", "12.3", "1235"."""
    decimals = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
    return f"{value:.{decimals}f}"


def _cell(row: Row) -> str:
    low, high = row["ci_low"], row["ci_high"]
    interval = (
        "" if low is None else f' <span class="interval">[{milliseconds(low)}, {milliseconds(high)}]</span>'
    )
    rounds = optional(row["parameters"], "rounds", '<span class="detail">{} rounds</span>')
    return f'<span class="accuracy">{milliseconds(row["value"])} ms{interval}{several(row, milliseconds)}</span>{rounds}'
