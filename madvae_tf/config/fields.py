"""Checks of a section's fields: types against the annotations, signs, precisions."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any

from madvae_tf.utils.errors import UserError

PRECISIONS = ("auto", "float32", "mixed_bfloat16")


def added(default: Any) -> Any:
    """A field that came after artifacts had been made: `plain` leaves it out while it has its
    default.

    So the keys of what was made before stay what they were.
    """
    return dataclasses.field(default=default, metadata={"added": True})


def plain(section: Any) -> dict[str, Any]:
    """The fields of a section, or of the whole configuration, as nested dicts."""
    values = {}
    for item in dataclasses.fields(section):
        value = getattr(section, item.name)
        if not (item.metadata.get("added") and value == item.default):
            values[item.name] = plain(value) if dataclasses.is_dataclass(value) else value
    return values


def require(condition: bool, name: str, received: object, expected: str) -> None:
    """Raises `UserError` unless `condition` holds."""
    if not condition:
        raise UserError(f"Invalid {name}: received {received!r}, expected {expected}.")


def check(section: object, prefix: str, positive: str = "", not_negative: str = "") -> None:
    """Field types against the annotations, then the ranges of `parameter` fields, and the sign of
    the fields named in the two lists.
    """
    for item in dataclasses.fields(section):  # type: ignore[arg-type]
        name, value = f"{prefix}.{item.name}", getattr(section, item.name)
        require(matches(value, item.type), name, value, f"a value of type {type_name(item.type)}")
        values = value if isinstance(value, tuple) else (value,)
        if any(isinstance(v, float) for v in values):
            require(all(math.isfinite(v) for v in values), name, value, "finite numbers")
        if "minimum" in item.metadata and not isinstance(value, bool | str):
            within, expected = in_range(value, item.metadata)
            require(within, name, value, f"a value {expected}")
        if item.name in positive.split():
            require(all(v > 0 for v in values), name, value, "a value above 0")
        if item.name in not_negative.split():
            require(all(v >= 0 for v in values), name, value, "a value of at least 0")


def in_range(value: Any, limits: Mapping[str, Any]) -> tuple[bool, str]:
    """Whether a number lies within the limits of its `parameter`, and these in words."""
    minimum, maximum, open_minimum = limits["minimum"], limits["maximum"], limits["open_minimum"]
    expected = f"{'above' if open_minimum else 'of at least'} {minimum:g}"
    expected += f" and at most {maximum:g}" if math.isfinite(maximum) else ""
    within = (minimum < value if open_minimum else minimum <= value) and value <= maximum
    return within and value < math.inf, expected


def matches(value: object, annotation: Any) -> bool:
    """Whether `value` is of the annotated type; an int is no float and a bool no int."""
    if typing.get_origin(annotation) is tuple:
        return isinstance(value, tuple) and all(
            matches(v, typing.get_args(annotation)[0]) for v in value
        )
    if annotation is float:
        return isinstance(value, float)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation)


def type_name(annotation: Any) -> str:
    """The annotated type as a message says it."""
    if typing.get_origin(annotation) is tuple:
        return f"list of {typing.get_args(annotation)[0].__name__}"
    return annotation.__name__


def check_precision(prefix: str, precision: str) -> None:
    """Raises `UserError` unless `precision` is one of `PRECISIONS`."""
    require(
        precision in PRECISIONS, f"{prefix}.precision", precision, f"one of {', '.join(PRECISIONS)}"
    )
