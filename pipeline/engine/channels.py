"""Input channels: the inputs of a stage that are of one kind, each under its own name, as TFX has
them.

A channel stands in a stage's inputs as "channel:name" for each of its members; nobody else puts
such a name together or apart.
"""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")


def channel(kind: str, members: Mapping[str, T]) -> dict[str, T]:
    """`members` (name -> stage) as inputs of the channel `kind`."""
    return {f"{kind}:{name}": member for name, member in members.items()}


def members(inputs: Mapping[str, T], kind: str) -> dict[str, T]:
    """Name -> what it is, of those inputs that the channel `kind` has, in their order."""
    found = (name.partition(":") for name in inputs)
    return {own: inputs[f"{head}:{own}"] for head, colon, own in found if colon and head == kind}
