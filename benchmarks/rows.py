"""Rows of `results.json`: what was measured, of ours and of a peer, and how the two compare.

A row is {"question", "case", "ours", "peer_name", "peer", "ratio", "unit"} and, where there are
such, "target" (the ratio to reach), "of_limit" (the share of the machine's limit that ours reaches,
`benchmarks.flops`), "rounds" and "note". `ratio` > 1 means that ours is better, whatever the unit.
Rounds are interleaved (ours, peer, ours, peer, ...), and the ratio is the median of the rounds'
ratios, not the ratio of medians: what disturbs a round disturbs both sides of it.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]

# Unit -> whether more of it is better.
UNITS: dict[str, bool] = {
    "images/s": True,
    "GFLOP/s": True,
    "success rate": True,
    "ms/image": False,
    "s": False,
    "MiB": False,
    "L2": False,
    "x": False,
    "% of a step": False,
}
REQUIRED = ("question", "case", "ours", "peer_name", "peer", "ratio", "unit")
OPTIONAL = ("target", "of_limit", "rounds", "note")


def interleave(
    contestants: Mapping[str, Callable[[], float]], rounds: int
) -> dict[str, list[float]]:
    """Name -> one measurement a round; each round asks every contestant once, in an order that
    rotates.
    """
    names = list(contestants)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for place in range(len(names)):
            name = names[(number + place) % len(names)]
            measured[name].append(contestants[name]())
    return measured


def ratio_of(ours: float, peer: float, unit: str) -> float:
    """How many times better ours is."""
    return ours / peer if UNITS[unit] else peer / ours


def row_of(
    question: str,
    case: str,
    ours: Sequence[float],
    peer_name: str,
    peer: Sequence[float],
    unit: str,
    **optional: Any,
) -> Row:
    """A row from the measurements of interleaved rounds, the k-th of `ours` beside the k-th of
    `peer`.

    Args:
        optional: any of OPTIONAL; those that are None are left out.

    Raises:
        ValueError: an unknown unit or key, no rounds, unequal numbers of rounds, or a measurement
            that is not a positive number.
    """
    ratio = statistics.median(ratio_of(a, b, unit) for a, b in zip(ours, peer, strict=True))
    row: Row = {
        "question": question,
        "case": case,
        "ours": statistics.median(ours),
        "peer_name": peer_name,
        "peer": statistics.median(peer),
        "ratio": ratio,
        "unit": unit,
        "rounds": len(ours),
        **{name: value for name, value in optional.items() if value is not None},
    }
    check_row(row)
    return row


def check_row(row: Row) -> None:
    """Raises `ValueError` for a row that is not as the module's docstring says."""
    unknown = row.keys() - {*REQUIRED, *OPTIONAL}
    if missing := [name for name in REQUIRED if name not in row]:
        raise ValueError(f"A row lacks {', '.join(missing)}: {row}.")
    if unknown:
        raise ValueError(f"A row has unknown keys {', '.join(sorted(unknown))}: {row}.")
    if row["unit"] not in UNITS:
        raise ValueError(f"Unknown unit {row['unit']!r}, expected one of {', '.join(UNITS)}.")
    for name in ("ours", "peer", "ratio", *(n for n in ("target", "of_limit") if n in row)):
        value = row[name]
        if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
            raise ValueError(f"A row's {name} is {value!r}, expected a positive number: {row}.")


def missed(rows: Sequence[Row]) -> list[Row]:
    """The rows whose ratio is below its target."""
    return [row for row in rows if "target" in row and row["ratio"] < row["target"]]
