"""The report's sentences: what it is, and what a figure was measured with."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from madvae_tf.report.markup import seed_list, text
from madvae_tf.report.names import THREAT_MODELS, Row
from madvae_tf.report.seeds import seeds_of
from madvae_tf.report.tables import Line, defenses_of


def introduction(run: Mapping[str, Any], lines: Sequence[Line]) -> str:
    """What was built and measured, in plain language."""
    attacks = list(dict.fromkeys(line.attack for line in lines if line.attack != "none"))
    purifiers = [name for name in defenses_of(lines) if name != "none"]
    dataset = text(run.get("dataset") or "its dataset")
    return (
        "<p>An image classifier can be fooled by changes to an image that a person would ignore. MAD-VAE puts a "
        "<em>purifier</em> before the classifier: a variational autoencoder, trained on pairs of attacked and clean "
        f"images, that redraws every image before the classifier sees it. This run on {dataset} trained the "
        f"classifier and measured {count(len(purifiers), 'purifier')} under {count(len(attacks), 'attack')} "
        f"({sample(lines)}).</p>"
    )


def warnings_banner(warnings: Sequence[Any]) -> str:
    """The run's warnings, where a reader cannot miss them; nothing if there are none."""
    if not warnings:
        return ""
    return (
        f'<div class="warn" role="alert"><strong>{count(len(warnings), "warning").capitalize()}: read the figures with care.</strong>'
        f"<ul>{''.join(f'<li>{text(warning)}</li>' for warning in warnings)}</ul></div>"
    )


def sample(lines: Sequence[Line]) -> str:
    """Like "n = 1000 test images per attack, seed 0", with a range where lines differ."""
    if not lines:
        return "no measurements"
    seeds = sorted({seed for line in lines for seed in line.seeds})
    return f"n = {span(line.n for line in lines)} test images per attack, {seed_list(seeds)}"


def evidence(rows: Sequence[Row]) -> str:
    """Like "n = 200 to 1000, seed 0; threat model: oblivious (the attacker ...)", for rows of any table."""
    models = [name for name in THREAT_MODELS if any(row["threat_model"] == name for row in rows)]
    meant = "; ".join(f"{name} ({THREAT_MODELS[name]})" for name in models)
    return f"n = {span(row['n'] for row in rows)}, {seed_list(seeds_of(rows))}; threat model: {meant}"


def span(sizes: Iterable[int]) -> str:
    """Like "1000", or "200 to 1000"."""
    found = sorted(set(sizes))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def several_seeds(rows: Sequence[Row]) -> str:
    """What a cell of several seeds shows; nothing where no row has several."""
    if not any("seeds" in row for row in rows):
        return ""
    return (
        " Where several seeds were run, a cell shows their mean, in brackets its 95% t-interval (for what differs "
        "from seed to seed, not for the draw of the test images), their standard deviation (sd) and the figure of each seed after its number."
    )


def model_of(rows: Sequence[Any]) -> str:
    """Like "threat model: oblivious" for lines, matrices or whatever else carries one."""
    models = sorted({row.threat_model for row in rows}, key=list(THREAT_MODELS).index)
    return f"threat model: {', '.join(models)}"


def count(size: int, noun: str) -> str:
    """Like "four purifiers"."""
    words = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    return f"{words[size] if size < len(words) else size} {noun}{'' if size == 1 else 's'}"
