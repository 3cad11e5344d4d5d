"""The search for the loss weights: its trials by their value, and which weights the run used."""

import math
from collections.abc import Mapping
from typing import Any

from madvae_tf.report.parts import Part, paragraph
from madvae_tf.report.table import DASH, Cell, Figure, Table, number


def section(run: Mapping[str, Any]) -> list[Part | Table]:
    """The trials of `run["tuning"]`, best first, with the hand-picked weights; nothing without."""
    tuning = run.get("tuning") or {}
    if not tuning:
        return []
    picked, best, trials = (tuning.get(key) or {} for key in ("hand_picked", "best", "trials"))
    entries = [(f"trial {rank}", trial) for rank, trial in enumerate(trials, start=1)]
    if picked and not any(_is(trial, picked) for trial in trials):
        entries.append(("", picked))
    values = [value for value in (_value(trial) for _, trial in entries) if value is not None]
    # The objective may be an accuracy or a loss: the best trial tells which way is up.
    target = _value(best)
    falling = bool(values) and target is not None and min(values) == target < max(values)
    entries.sort(key=lambda entry: _rank(_value(entry[1]), falling))
    names = list(dict.fromkeys(name for _, trial in entries for name in trial.get("weights") or {}))
    body = []
    for title, trial in entries:
        marks = [
            word for word, known in (("hand-picked", picked), ("best", best)) if _is(trial, known)
        ]
        value = _value(trial)
        figures = () if value is None else (Figure(value, n=tuning.get("n")),)
        given = trial.get("weights") or {}
        weights = [Cell(_weight(given.get(name)), order=given.get(name)) for name in names]
        head = Cell(title, (", ".join(marks),)) if marks else Cell(title)
        body.append((head, Cell(figures=figures), *weights, Cell(str(trial.get("status") or ""))))
    text = (
        f"{_objective(tuning, run)}The best of many trials was picked on the images that give its "
        "value, so that value flatters it."
    )
    columns = [*map(Cell, ("Trial", "Value", *names, "Status"))]
    title = f"Trials, {'lowest' if falling else 'highest'} value first."
    return [_used(tuning, picked, best), Table("tuning", title, text, columns, body)]


def _objective(tuning: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    parts = [
        f"Objective: {tuning['objective']}" if tuning.get("objective") else "",
        f"n = {tuning['n']} validation images" if tuning.get("n") is not None else "",
        f"seed {run['seed']}" if run.get("seed") is not None else "",
        "threat model: oblivious",
        (
            f"the search took {float(tuning['cost_seconds']):.0f} s"
            if tuning.get("cost_seconds") is not None
            else ""
        ),
    ]
    return f"{', '.join(filter(None, parts))}. "


def _used(tuning: Mapping[str, Any], picked: Mapping[str, Any], best: Mapping[str, Any]) -> Part:
    n = tuning.get("n")
    found = (
        f"The best trial reached {number(_value(best), n)}, the hand-picked weights"
        f" {number(_value(picked), n)}."
    )
    if not tuning.get("used"):
        return paragraph(found)
    chosen = best if tuning["used"] == "tuned" else picked
    weights = ", ".join(
        f"{name} {_weight(value)}" for name, value in (chosen.get("weights") or {}).items()
    )
    used = f"This run used the {tuning['used']} weights{f': {weights}' if weights else ''}."
    return paragraph(found, strong=used)


def _value(trial: Mapping[str, Any]) -> float | None:
    value = trial.get("value")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _rank(value: float | None, falling: bool) -> tuple[bool, float]:
    """Where a trial stands: those without a value last."""
    if value is None:
        return True, 0.0
    return False, value if falling else -value


def _is(trial: Mapping[str, Any], best: Mapping[str, Any]) -> bool:
    return (
        bool(best)
        and trial.get("weights") == best.get("weights")
        and trial.get("value") == best.get("value")
    )


def _weight(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else DASH
