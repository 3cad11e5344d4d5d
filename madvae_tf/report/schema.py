"""The check of the rows of results.json against the names of `names`."""

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from madvae_tf.report.names import (
    AMONG,
    ATTACKS,
    BLACK_BOX_TABLES,
    CLUSTER_PARAMETERS,
    CONFUSION_TABLES,
    DEFENSES,
    DETECTORS,
    FIELDS,
    IDENTITY,
    NORMS,
    RANGES,
    SUBSTITUTES,
    TABLES,
    THREAT_MODELS,
    Row,
)
from madvae_tf.utils.errors import UserError, lookup
from madvae_tf.utils.labels import MOST_CLASSES

# The test of a value, and what is valid in words.
_Rule = tuple[Callable[[Any], bool], str]


def _one_of(names: Collection[str]) -> _Rule:
    valid = tuple(names)
    return lambda value: value in valid, f"one of: {', '.join(valid)}"


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_distance(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


_LABEL: _Rule = (
    lambda value: _is_int(value) and 0 <= value < MOST_CLASSES,
    f"a label, an integer in 0..{MOST_CLASSES - 1}",
)
_POSITIVE: _Rule = (lambda value: _is_int(value) and value >= 1, "an integer >= 1")
_NAME: _Rule = (lambda value: isinstance(value, str) and bool(value.strip()), "a non-empty string")
_DISTANCE: _Rule = (_is_distance, "a number >= 0")
_SHARE: _Rule = (lambda value: _is_distance(value) and value <= 1, "a number in [0, 1]")
# What a row's table, metric or attack asks of its parameters.
_REQUIRED: dict[str, dict[str, _Rule]] = {
    **{table: {"substitute": _one_of(SUBSTITUTES)} for table in BLACK_BOX_TABLES},
    "count": {"true": _LABEL, "predicted": _LABEL},
    "clusters": {name: _one_of(known) for name, known in CLUSTER_PARAMETERS.items()},
    "knn_purity": {"k": _POSITIVE},
    "reference": {"setting": _NAME, "difference": _NAME},
    "robustness": {"norm": _one_of(NORMS), "epsilon": _DISTANCE},
    "detection": {"detector": _one_of(DETECTORS), "among": _one_of(AMONG)},
    "tpr": {"fpr": _SHARE},
    "corruption": {"kind": _NAME, "severity": _POSITIVE},
    "time": {"batch": _POSITIVE},
}


def validate_rows(rows: Sequence[Row]) -> None:
    """Checks every row against the schema, and that no two rows claim to be the same measurement.

    Args:
        rows: dicts with exactly the fields of `FIELDS`.

    Raises:
        UserError: one line that names the row, the field, what was received and what is valid.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise UserError(
            f"Invalid rows: received {type(rows).__name__}, expected a list of row dicts."
        )
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        _check_row(index, row)
        identity = json.dumps([row[name] for name in IDENTITY], sort_keys=True)
        if identity in seen:
            raise _error(
                index,
                row,
                "parameters",
                row["parameters"],
                f"a measurement other than that of row {seen[identity]}",
            )
        seen[identity] = index


def _check_row(index: int, row: Any) -> None:
    if not isinstance(row, Mapping):
        raise UserError(
            f"Invalid row {index}: received {type(row).__name__}, expected a dict of"
            f" {', '.join(FIELDS)}."
        )
    for field in FIELDS:
        if field not in row:
            raise UserError(
                f"Invalid row {index}: field {field!r} is missing; a row has {', '.join(FIELDS)}."
            )
    for field in row:
        if field not in FIELDS:
            raise UserError(
                f"Invalid row {index}: unknown field {field!r}; a row has {', '.join(FIELDS)}."
            )
    _check_names(index, row)
    _check_parameters(index, row)
    _check_numbers(index, row)


def _check_names(index: int, row: Mapping[str, Any]) -> None:
    for field in ("table", "dataset", "attack", "threat_model", "defense", "metric"):
        if not isinstance(row[field], str) or not row[field]:
            raise _error(index, row, field, row[field], "a name (non-empty string)")
    known = {"table": TABLES, "attack": ATTACKS, "threat_model": THREAT_MODELS, "defense": DEFENSES}
    for field, names in known.items():
        try:
            lookup(names, row[field], field)
        except UserError as error:
            raise UserError(f"Invalid row {index}, field {field!r}: {error}") from None
    if row["metric"] not in TABLES[row["table"]]:
        raise _error(
            index, row, "metric", row["metric"], f"one of: {', '.join(TABLES[row['table']])}"
        )
    variant = CONFUSION_TABLES.get(row["table"])
    if variant is not None and row["defense"] != variant:
        raise _error(
            index,
            row,
            "defense",
            row["defense"],
            f"{variant!r}, the variant that {row['table']} shows",
        )


def _check_parameters(index: int, row: Mapping[str, Any]) -> None:
    parameters = row["parameters"]
    if not isinstance(parameters, dict) or not all(isinstance(key, str) for key in parameters):
        raise _error(index, row, "parameters", parameters, "a dict with string keys")
    try:
        json.dumps(parameters, allow_nan=False)
    except (TypeError, ValueError):
        raise _error(index, row, "parameters", parameters, "plain finite JSON values") from None
    for name in (row["table"], row["metric"], row["attack"] if row["table"] == "natural" else ""):
        for key, (valid, expected) in _REQUIRED.get(name, {}).items():
            if not valid(parameters.get(key)):
                raise _error(index, row, "parameters", parameters, f"{key!r} to be {expected}")


def _check_numbers(index: int, row: Mapping[str, Any]) -> None:
    low, high = RANGES[row["metric"]]
    if row["metric"] == "count" and (not _is_int(row["value"]) or row["value"] < 0):
        raise _error(index, row, "value", row["value"], "an integer >= 0")
    expected = "a finite number " + (
        f"in [{low:g}, {high:g}]" if math.isfinite(high) else f">= {low:g}"
    )
    for field in ("value", "ci_low", "ci_high", "paper"):
        number = row[field]
        if number is None and field != "value":
            continue
        if (
            isinstance(number, bool)
            or not isinstance(number, int | float)
            or not math.isfinite(number)
        ):
            raise _error(
                index, row, field, number, expected + ("" if field == "value" else " or null")
            )
        if not low <= number <= high:
            raise _error(index, row, field, number, expected)
    if (row["ci_low"] is None) != (row["ci_high"] is None):
        raise _error(
            index, row, "ci_high", row["ci_high"], "both ends of the interval, or null for both"
        )
    # A Wilson interval's end may fall short of 0 or 1 by a rounding error where the value is
    # exactly that.
    slack = 1e-9
    if (
        row["ci_low"] is not None
        and not row["ci_low"] - slack <= row["value"] <= row["ci_high"] + slack
    ):
        interval = f"[{row['ci_low']}, {row['ci_high']}]"
        raise _error(
            index, row, "ci_low", interval, f"an interval that contains the value {row['value']}"
        )
    if not _is_int(row["n"]) or row["n"] < 1:
        raise _error(index, row, "n", row["n"], "an integer >= 1")
    if not _is_int(row["seed"]):
        raise _error(index, row, "seed", row["seed"], "an integer")


def _error(
    index: int, row: Mapping[str, Any], field: str, received: Any, expected: str
) -> UserError:
    where = ", ".join(str(row[name]) for name in ("table", "attack", "defense", "metric"))
    shown = " ".join(repr(received).split())
    return UserError(
        f"Invalid row {index} ({where}), field {field!r}: received {shown}, expected {expected}."
    )
