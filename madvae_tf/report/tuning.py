"""The search for the loss weights: its trials by their value, and which weights the run used."""

import math
from collections.abc import Mapping
from typing import Any

from madvae_tf.report.markup import DASH, number, table, text


def section(run: Mapping[str, Any]) -> str:
    """The trials of `run["tuning"]`, best first, the hand-picked weights among them; nothing without it."""
    tuning = run.get("tuning") or {}
    if not tuning:
        return ""
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
        marks = [word for word, known in (("hand-picked", picked), ("best", best)) if _is(trial, known)]
        detail = f'<span class="detail">{", ".join(marks)}</span>' if marks else ""
        weights = [_weight((trial.get("weights") or {}).get(name)) for name in names]
        status = text(trial["status"]) if trial.get("status") else DASH
        body.append([f"{title}{detail}", number(_value(trial)), *weights, status])
    caption = (
        f"<b>Trials, {'lowest' if falling else 'highest'} value first.</b> {_objective(tuning, run)}The best of many trials was picked on "
        "the images that give its value, so that value flatters it."
    )
    head = ["Trial", "Value", *(text(name) for name in names), "Status"]
    return f"<p>{_used(tuning, picked, best)}</p>" + table("tuning", caption, head, body)


def _objective(tuning: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    parts = [
        f"Objective: {text(tuning['objective'])}" if tuning.get("objective") else "",
        f"n = {text(tuning['n'])} validation images" if tuning.get("n") is not None else "",
        f"seed {text(run['seed'])}" if run.get("seed") is not None else "",
        "threat model: oblivious",
        f"the search took {float(tuning['cost_seconds']):.0f} s"
        if tuning.get("cost_seconds") is not None
        else "",
    ]
    shown = ", ".join(part for part in parts if part)
    return f"{shown}. " if shown else ""


def _used(tuning: Mapping[str, Any], picked: Mapping[str, Any], best: Mapping[str, Any]) -> str:
    found = (
        f"The best trial reached {number(_value(best))}, the hand-picked weights {number(_value(picked))}."
    )
    if not tuning.get("used"):
        return found
    chosen = best if tuning["used"] == "tuned" else picked
    weights = ", ".join(
        f"{text(name)} {_weight(value)}" for name, value in (chosen.get("weights") or {}).items()
    )
    return f"{found} <strong>This run used the {text(tuning['used'])} weights</strong>{f': {weights}' if weights else ''}."


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
        bool(best) and trial.get("weights") == best.get("weights") and trial.get("value") == best.get("value")
    )


def _weight(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else DASH
