"""The rows of results.json: what a row is, which names it may use, and the check that refuses any other.

A row is one measured figure with everything a reader needs to judge it: what was attacked, how, who
defended, what the attacker knew (`threat_model`), the 95% interval, n and the seed.
"""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from madvae_tf.errors import UserError, lookup

Row = dict[str, Any]

SCHEMA_VERSION = 1
FIELDS = (
    "table",
    "dataset",
    "attack",
    "parameters",
    "threat_model",
    "defense",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
    "seed",
    "paper",
)
POOLED_ATTACK = "fgsm+rand_fgsm+cw"

# Name in a row -> what the page calls it; the order is the order on the page.
ATTACKS = {
    "none": "No attack (clean)",
    "fgsm": "FGSM",
    "rand_fgsm": "Rand-FGSM",
    "cw": "CW-L2",
    "mi_fgsm": "MI-FGSM",
    "pgd": "PGD",
    "single_pixel": "Single Pixel",
    POOLED_ATTACK: "FGSM + Rand-FGSM + CW-L2",
}
DEFENSES = {
    "none": "No defence",
    "vanilla": "Vanilla",
    "cls": "Classification",
    "pd": "Proximity and distance",
    "combined": "Combined",
}
THREAT_MODELS = {
    "oblivious": "the attacker attacks the classifier and does not know of the purifier",
    "transfer": "the attacker attacks another model and carries the images over",
    "end_to_end": "the attacker knows of the purifier and attacks classifier and purifier together",
}
# A confusion table of the paper -> the variant that it shows.
CONFUSION_TABLES = {"table2": "pd", "table8": "vanilla", "table9": "cls", "table10": "combined"}

_RATES = ("accuracy", "agreement", "success_rate")
_SIZES = ("mean_l2", "mean_linf")
# Table -> the metrics that it may hold.
TABLES: dict[str, tuple[str, ...]] = {
    "table1": ("accuracy", "agreement"),
    **dict.fromkeys(CONFUSION_TABLES, ("count",)),
    "validation": _RATES + _SIZES,
    "attacks": ("success_rate", *_SIZES),
}


def validate_rows(rows: Sequence[Row]) -> None:
    """Checks every row against the schema, and that no two rows claim to be the same measurement.

    Args:
        rows: dicts with exactly the fields of `FIELDS`.

    Raises:
        UserError: one line that names the row, the field, what was received and what is valid.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str):
        raise UserError(f"Invalid rows: received {type(rows).__name__}, expected a list of row dicts.")
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        _check_row(index, row)
        identity = json.dumps(
            [
                row[k]
                for k in (
                    "table",
                    "dataset",
                    "attack",
                    "parameters",
                    "threat_model",
                    "defense",
                    "metric",
                    "seed",
                )
            ],
            sort_keys=True,
        )
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
            f"Invalid row {index}: received {type(row).__name__}, expected a dict of {', '.join(FIELDS)}."
        )
    for field in FIELDS:
        if field not in row:
            raise UserError(
                f"Invalid row {index}: field {field!r} is missing; a row has {', '.join(FIELDS)}."
            )
    for field in row:
        if field not in FIELDS:
            raise UserError(f"Invalid row {index}: unknown field {field!r}; a row has {', '.join(FIELDS)}.")
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
        raise _error(index, row, "metric", row["metric"], f"one of: {', '.join(TABLES[row['table']])}")
    variant = CONFUSION_TABLES.get(row["table"])
    if variant is not None and row["defense"] != variant:
        raise _error(
            index, row, "defense", row["defense"], f"{variant!r}, the variant that {row['table']} shows"
        )


def _check_parameters(index: int, row: Mapping[str, Any]) -> None:
    parameters = row["parameters"]
    if not isinstance(parameters, dict) or not all(isinstance(key, str) for key in parameters):
        raise _error(index, row, "parameters", parameters, "a dict with string keys")
    try:
        json.dumps(parameters, allow_nan=False)
    except (TypeError, ValueError):
        raise _error(index, row, "parameters", parameters, "plain finite JSON values") from None
    if row["metric"] == "count":
        for key in ("true", "predicted"):
            label: Any = parameters.get(key)
            if not _is_int(label) or not 0 <= label <= 9:
                raise _error(
                    index, row, "parameters", parameters, f"{key!r} to be a label, an integer in 0..9"
                )


def _check_numbers(index: int, row: Mapping[str, Any]) -> None:
    metric = row["metric"]
    if metric == "count":
        if not _is_int(row["value"]) or row["value"] < 0:
            raise _error(index, row, "value", row["value"], "an integer >= 0")
        upper = math.inf
    else:
        upper = 1.0 if metric in _RATES else math.inf
    expected = "a finite number in [0, 1]" if upper == 1.0 else "a finite number >= 0"
    for field in ("value", "ci_low", "ci_high", "paper"):
        number = row[field]
        if number is None and field != "value":
            continue
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise _error(index, row, field, number, expected + ("" if field == "value" else " or null"))
        if not 0 <= number <= upper:
            raise _error(index, row, field, number, expected)
    if (row["ci_low"] is None) != (row["ci_high"] is None):
        raise _error(index, row, "ci_high", row["ci_high"], "both ends of the interval, or null for both")
    # A Wilson interval's end may fall short of 0 or 1 by a rounding error where the value is exactly that.
    slack = 1e-9
    if row["ci_low"] is not None and not row["ci_low"] - slack <= row["value"] <= row["ci_high"] + slack:
        interval = f"[{row['ci_low']}, {row['ci_high']}]"
        raise _error(index, row, "ci_low", interval, f"an interval that contains the value {row['value']}")
    if not _is_int(row["n"]) or row["n"] < 1:
        raise _error(index, row, "n", row["n"], "an integer >= 1")
    if not _is_int(row["seed"]):
        raise _error(index, row, "seed", row["seed"], "an integer")


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _error(index: int, row: Mapping[str, Any], field: str, received: Any, expected: str) -> UserError:
    where = ", ".join(str(row[name]) for name in ("table", "attack", "defense", "metric"))
    shown = " ".join(repr(received).split())
    return UserError(
        f"Invalid row {index} ({where}), field {field!r}: received {shown}, expected {expected}."
    )
