"""Several seeds -> one figure: their mean, its standard deviation and its 95% t-interval.

With k values of mean m and standard deviation s (ddof 1) the interval is m ± t(0.975, k - 1) s /
sqrt(k), Student's (1908), cut to the values that the metric can have. It covers what differs from
seed to seed, the training above all; not the draw of the test images, which the seeds share: the
Wilson interval of each seed covers that one.
"""

import json
import math
import statistics
from collections.abc import Sequence
from typing import Any

from scipy.special import stdtrit

from madvae_tf.report.names import IDENTITY, RANGES, Row


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95% t-interval of the mean of two or more values.

    Raises:
        ValueError: fewer than two values.
    """
    size = len(values)
    if size < 2:
        raise ValueError(f"Invalid values: received {size}, expected two or more.")
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    half = float(stdtrit(size - 1, 0.975)) * deviation / math.sqrt(size)
    return mean - half, mean + half


def mean_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows with those that differ only in their seed made one, in the order of their first.

    A row of several seeds holds the mean as its value and its t-interval as its interval; it has
    two fields more: "seeds", seed -> value in the order of the seeds, and "deviation", their
    standard deviation. A row of one seed is handed back as it is. Rows of different n stay apart.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(setting(row), []).append(row)
    return [group[0] if len(group) == 1 else _mean(group) for group in groups.values()]


def setting(row: Row) -> str:
    """What rows share that differ in nothing but their seed, and what it made of the figure."""
    shared: list[Any] = [row.get(name) for name in (*IDENTITY, "n") if name != "seed"]
    return json.dumps(shared, sort_keys=True)


def seeds_of(rows: Sequence[Row]) -> tuple[int, ...]:
    """Every seed behind the rows, in order."""
    return tuple(sorted({seed for row in rows for seed in row.get("seeds", (row["seed"],))}))


def _mean(group: list[Row]) -> Row:
    group = sorted(group, key=lambda row: row["seed"])
    values = [float(row["value"]) for row in group]
    (low, high), (least, greatest) = t_interval(values), RANGES[group[0]["metric"]]
    return {
        **group[0],
        "value": statistics.fmean(values),
        "ci_low": max(least, low),
        "ci_high": min(greatest, high),
        "paper": next((row["paper"] for row in group if row["paper"] is not None), None),
        "seeds": {row["seed"]: row["value"] for row in group},
        "deviation": statistics.stdev(values),
    }
