"""What the result (`result`) says in words: which system to use, and what it is not for."""

from collections.abc import Sequence

from madvae_tf.report.names import ATTACKS, VARIANTS, Budget, Row
from madvae_tf.report.result import (
    ALONE,
    HALF,
    NO_BUDGET,
    Choice,
    System,
    budget_name,
    budgets,
    choice,
    holds,
)
from madvae_tf.report.table import number


def sentences(found: Sequence[System]) -> list[str]:
    """Which system to use and what it is not for; the first sentence is the answer."""
    purifiers = [system for system in found if system.name != ALONE]
    if not purifiers:
        return []
    measured = [system for system in purifiers if system.aware]
    if not measured:
        return ["This run cannot say which purifier to use."]
    chosen = choice(found)
    return _for(chosen, found) if chosen else _against(measured, found)


def _for(chosen: Choice, found: Sequence[System]) -> list[str]:
    """Why the chosen one, and what it is not for."""
    system, budget = chosen.system, chosen.budget
    alone = [other for other in found if other.name == ALONE and budget in other.aware]
    beside = f"; the classifier alone keeps {_value(alone[0].aware[budget].worst)}" if alone else ""
    rivals = ", ".join(f"{s.title} {_value(s.aware[budget].worst)}" for s in chosen.rivals)
    lines = [
        f"Use {system.title}.",
        (
            "It holds best against attackers who know of it: it keeps "
            f"{_figure(system.aware[budget].worst)} at {budget_name(budget)}{beside}."
        ),
        *([f"Its interval overlaps with: {rivals}."] if rivals else []),
        f"It is not for changes beyond that budget: {_beyond(system, budget)}.",
    ]
    lost = [
        s for s in found if s.name in VARIANTS and budget in s.aware and not holds(s, budget, found)
    ]
    if lost:
        kept = _range([s.aware[budget].worst for s in lost])
        lines.append(
            f"Not for attackers who know of them: {', '.join(s.title for s in lost)}, which keep"
            f" {kept}."
        )
    return lines


def _beyond(system: System, budget: Budget) -> str:
    """What is left of a system by attacks that go further than the budget that it holds at."""
    parts = []
    if system.unaware is not None and system.unaware["attack"] in NO_BUDGET:
        title = ATTACKS[system.unaware["attack"]]
        parts.append(
            f"{title}, which knows no budget, leaves {_value(system.unaware)} even unaware of it"
        )
    parts += [
        f"{budget_name(b)} leaves {_value(a.worst)}" for b, a in system.aware.items() if b != budget
    ]
    return "; ".join(parts) or "no other budget was measured"


def _against(measured: Sequence[System], found: Sequence[System]) -> list[str]:
    """No system holds: how much the best one keeps, and where it could still serve."""
    budget = next(
        budget for budget in budgets(found) if any(budget in system.aware for system in measured)
    )
    there = [system for system in measured if budget in system.aware]
    best = max(there, key=lambda system: system.aware[budget].worst["value"])
    lines = [
        "No purifier of this run holds against attackers who know of it.",
        f"{best.title} keeps most, {_figure(best.aware[budget].worst)} at {budget_name(budget)}.",
    ]
    alone = max((s.unaware["ci_high"] for s in found if s.name == ALONE and s.unaware), default=0.0)
    unaware = {s.title: s.unaware for s in measured if s.unaware is not None}
    serving = max(unaware, key=lambda title: unaware[title]["value"], default="")
    if serving and unaware[serving]["ci_low"] > max(HALF, alone):
        lines.append(
            f"They are for attackers who do not know of them only: there {serving} keeps most, "
            f"{_value(unaware[serving])} under its worst attack, "
            f"{ATTACKS[unaware[serving]['attack']]}."
        )
    elif serving:
        lines.append("Nor does any of them hold against attackers who do not know of it.")
    return lines


def _value(row: Row) -> str:
    return number(row["value"], row["n"])


def _figure(row: Row) -> str:
    low, high = (number(row[end], row["n"]) for end in ("ci_low", "ci_high"))
    return f"{_value(row)} ({low} to {high}, n = {row['n']})"


def _range(rows: Sequence[Row]) -> str:
    ordered = sorted(rows, key=lambda row: row["value"])
    low, high = _value(ordered[0]), _value(ordered[-1])
    return low if low == high else f"{low} to {high}"
