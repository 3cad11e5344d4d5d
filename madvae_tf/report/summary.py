"""The report's sentences: what a figure was measured with, and which warnings there are."""

from collections.abc import Iterable, Sequence
from typing import Any

from madvae_tf.report.names import THREAT_MODELS, Row
from madvae_tf.report.parts import Part
from madvae_tf.report.seeds import seeds_of


def warning_list(warnings: Sequence[Any], banner: bool = False) -> Part:
    """The run's warnings; as a banner with their number, where a reader cannot miss them."""
    many = (
        f"{count(len(warnings), 'warning').capitalize()}: read the figures with care."
        if banner
        else ""
    )
    return Part("warnings", {"messages": list(warnings), "title": many})


def evidence(rows: Sequence[Row]) -> str:
    """Like "n = 200 to 1000, seed 0; threat model: oblivious (the attacker ...)"."""
    models = [name for name in THREAT_MODELS if any(row["threat_model"] == name for row in rows)]
    meant = "; ".join(f"{name} ({THREAT_MODELS[name]})" for name in models)
    return (
        f"n = {span(row['n'] for row in rows)}, {seed_list(seeds_of(rows))}; threat model: {meant}"
    )


def span(sizes: Iterable[int]) -> str:
    """Like "1000", or "200 to 1000"."""
    found = sorted(set(sizes))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def seed_list(seeds: Sequence[int]) -> str:
    """Like "seed 0", or "seeds 0, 1, 2"."""
    return f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"


def several_seeds(rows: Sequence[Row]) -> str:
    """What a cell of several seeds shows; nothing where no row has several."""
    if not any("seeds" in row for row in rows):
        return ""
    return (
        " Where several seeds were run, a cell shows their mean, in brackets its 95% t-interval "
        "(for what differs from seed to seed, not for the draw of the test images), their "
        "standard deviation (sd) and the figure of each seed after its number."
    )


def count(size: int, noun: str) -> str:
    """Like "four purifiers"."""
    numerals = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return f"{numerals[size] if size < len(numerals) else size} {noun}{'' if size == 1 else 's'}"
