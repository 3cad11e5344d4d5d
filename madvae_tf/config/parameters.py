"""Parameters of attacks and defences: dataclass fields with a type and a range, checked on
construction.
"""

import contextlib
import dataclasses
import json
import math
import numbers
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from madvae_tf.config.fields import in_range
from madvae_tf.utils.errors import UserError


class InvalidParameter(UserError):
    """A parameter of the wrong type, not finite, or out of its range.

    Attributes:
        owner, field, received, expected: what the message is made of.
    """

    owner: str
    field: str
    received: Any
    expected: str


def invalid(owner: str, field: str, received: Any, expected: str, default: Any) -> InvalidParameter:
    """The error; a `default` of None is not named."""
    way_out = "leave it out" + ("" if default is None else f" for the default, {default!r}")
    error = InvalidParameter(
        f"Invalid {owner} {field}: received {received!r}, expected {expected}; {way_out}."
    )
    error.owner, error.field, error.received, error.expected = owner, field, received, expected
    return error


@contextlib.contextmanager
def with_defaults(defaults: Mapping[str, Any]) -> Iterator[None]:
    """The message for an invalid parameter within names the default of that function, where it has
    its own: field -> default.
    """
    try:
        yield
    except InvalidParameter as error:
        if error.field not in defaults:
            raise
        parts = (error.owner, error.field, error.received, error.expected)
        raise invalid(*parts, defaults[error.field]) from None


def parameter(
    default: Any,
    minimum: float = 0.0,
    maximum: float = math.inf,
    open_minimum: bool = False,
    added: bool = False,
) -> Any:
    """A dataclass field whose value has the default's type (float, int, bool or str) and lies in
    the range given.

    Args:
        added: it came after artifacts had been made: `Parameters.parameters` leaves it out while it
            has its default.
    """
    limits = {"minimum": minimum, "maximum": maximum, "open_minimum": open_minimum, "added": added}
    return dataclasses.field(default=default, metadata=limits)


@dataclasses.dataclass(frozen=True)
class Parameters:
    """Base of attacks and defences: its `parameter(...)` fields are checked here on construction.

    Raises:
        UserError: a parameter of the wrong type, not finite, or out of its range.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            object.__setattr__(
                self, field.name, _checked(self.name, field, getattr(self, field.name))
            )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as JSON-able values, as reports show them."""
        return {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if not (field.metadata.get("added") and getattr(self, field.name) == field.default)
        }

    @property
    def canonical(self) -> str:
        """The name, and the parameters that are not the defaults, as JSON: what seeds are folded
        from.

        Equal values give equal text on every machine, and a field that joins the class, with its
        default, changes none.
        """
        changed = {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
        return json.dumps([self.name, changed], sort_keys=True, separators=(",", ":"))


_KINDS: dict[type, tuple[Any, str]] = {
    bool: (bool, "True or False"),
    int: (numbers.Integral, "an integer"),
    float: (numbers.Real, "a number"),
    str: (str, "a name"),
}


def _checked(attack: str, field: "dataclasses.Field[Any]", value: Any) -> Any:
    kind, limits = type(field.default), field.metadata
    accepted, expected = _KINDS[kind]
    # Python counts True among the integers.
    valid = isinstance(value, accepted) and isinstance(value, bool) == (kind is bool)
    if kind not in (bool, str):
        minimum, maximum, open_minimum = (
            limits["minimum"],
            limits["maximum"],
            limits["open_minimum"],
        )
        expected += f" {'>' if open_minimum else '>='} {minimum:g}"
        expected += f" and <= {maximum:g}" if math.isfinite(maximum) else ""
        valid = valid and in_range(value, limits)[0]
    if not valid:
        raise invalid(attack, field.name, value, expected, field.default)
    return kind(value)


def check_integers(values: Mapping[str, tuple[Any, int]]) -> list[int]:
    """The values, name -> (value, least), as Python's integers. Raises `UserError` where one is no
    integer or below its least.
    """
    for name, (value, least) in values.items():
        if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
            raise UserError(
                f"Invalid {name}: received {value!r}, expected an integer of at least {least}."
            )
    return [int(value) for value, _ in values.values()]
