"""Budgets as people write them: "linf:0.3", "L2: 1.5", "Linf 8/255"."""

import dataclasses
import re
from typing import Any

from madvae_tf.attacks.geometry import NORMS
from madvae_tf.utils.errors import UserError

_NAMES = {
    **dict.fromkeys(("linf", "inf", "linfinity", "infinity", "l∞", "∞", "linfty"), "linf"),
    **dict.fromkeys(("l2", "2", "euclidean"), "l2"),
}
_WRITTEN = re.compile(r"(?P<norm>.+?)(?:\s*[:=]\s*|\s+)(?P<budget>[^\s:=]+)")
_EXAMPLES = "'linf:0.3', 'linf:8/255' or 'l2:1.5'"


@dataclasses.dataclass(frozen=True)
class Threat:
    """How far an attack may go.

    Attributes:
        norm: linf or l2.
        epsilon: the budget, pixels in [0, 1].
    """

    norm: str
    epsilon: float

    def __str__(self) -> str:
        return f"{self.norm}:{self.epsilon:g}"

    @property
    def title(self) -> str:
        """Like "L-infinity 0.3"."""
        return f"{NORMS[self.norm]} {self.epsilon:g}"


def threat_of(written: Any) -> Threat:
    """What is written as a norm and a budget.

    Args:
        written: such as "linf:0.3" (case, spaces, "_" and "-" in the norm do not matter, "inf" is
            "linf", a budget may be a fraction like 8/255), a pair like ("l2", 1.5), or a `Threat`.

    Raises:
        UserError: another norm, or a budget that is no number above 0, or above 1 in L-infinity.
    """
    if isinstance(written, Threat):
        return written
    if isinstance(written, tuple | list) and len(written) == 2:
        found = [str(part).strip() for part in written]
    else:
        match = _WRITTEN.fullmatch(str(written).strip())
        found = [match["norm"], match["budget"]] if match else ["", ""]
    norm = _NAMES.get(re.sub(r"[\s_-]", "", found[0]).lower())
    if norm is None:
        raise UserError(
            f"Invalid threat: received {written!r}, expected a norm (linf or l2) and a budget, like"
            f" {_EXAMPLES}."
        )
    epsilon = _number(found[1])
    if epsilon is None or epsilon <= 0:
        raise UserError(
            f"Invalid threat: received {written!r}, expected a budget above 0, like {_EXAMPLES}."
        )
    if norm == "linf" and epsilon > 1:
        way_out = (
            f"write 'linf:{epsilon:g}/255' for {epsilon:g} of 255 steps"
            if epsilon <= 255
            else _EXAMPLES
        )
        raise UserError(
            f"Invalid threat: received {written!r}, expected at most 1 in L-infinity, since pixels"
            f" are in [0, 1]; {way_out}."
        )
    return Threat(norm, epsilon)


def _number(text: str) -> float | None:
    """A decimal number or a fraction; None where it is neither, or not finite."""
    above, _, below = text.partition("/")
    try:
        value = float(above) / (float(below) if below else 1.0)
    except (ValueError, ZeroDivisionError):
        return None
    return value if abs(value) < float("inf") else None
