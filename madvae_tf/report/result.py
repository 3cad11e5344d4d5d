"""The result of a run: what each system keeps without an attack, under unaware and aware attackers.

All of it comes from the rows of results.json. The page, the Markdown tables and the last lines of
`make run` show it (`opening`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from madvae_tf.report.names import ATTACKS, DEFENSES, VARIANTS, Budget, Row, budget_of
from madvae_tf.report.seeds import mean_rows

# This attack looks for the nearest image that fools; its change has any size.
NO_BUDGET = ("cw",)
# Norms whose budgets are compared here. One pixel fools next to nothing.
_NORMS = {"linf": "L-infinity", "l2": "L2"}
# A system holds if more than this share of the images stays right, beyond the interval.
HALF = 0.5
ALONE = "none"


@dataclass(frozen=True)
class Aware:
    """What attackers who know of the system leave within one budget.

    Attributes:
        worst: the row of the worst case over all their attacks.
        attack: the row of the attack that leaves least by itself; None where no single attack has a
            row.
    """

    worst: Row
    attack: Row | None


@dataclass(frozen=True)
class System:
    """A line of the result.

    Attributes:
        name: a key of `DEFENSES`.
        clean: the row without an attack.
        unaware: the row of the attack that leaves least, of those made on the classifier alone.
        bounded: the same among the attacks that have a budget; None where `unaware` has one.
        aware: budget -> what is left; empty where nothing was measured.
    """

    name: str
    clean: Row | None
    unaware: Row | None
    bounded: Row | None
    aware: Mapping[Budget, Aware]

    @property
    def title(self) -> str:
        """What people call it."""
        return "Classifier alone" if self.name == ALONE else DEFENSES[self.name]


@dataclass(frozen=True)
class Choice:
    """The system to use.

    Attributes:
        system: the one that keeps most within `budget`.
        budget: the first budget within which any system holds.
        rivals: others that hold there, whose intervals overlap with its own.
    """

    system: System
    budget: Budget
    rivals: Sequence[System]


def systems(rows: Sequence[Row]) -> list[System]:
    """The classifier alone, the measured variants, and other defences that an aware attacker met."""  # noqa: E501
    tables = ("table1", "baselines", "robustness")
    accuracy = mean_rows(
        [row for row in rows if row["table"] in tables and row["metric"] == "accuracy"]
    )
    attacked = {row["defense"] for row in accuracy if _is_aware(row)}
    variants = {row["defense"] for row in accuracy if row["table"] == "table1"}
    main = next(iter(_budgets(accuracy)), None)
    return [
        _system(name, [row for row in accuracy if row["defense"] == name], main)
        for name in DEFENSES
        if name in attacked or (name in variants and name in (ALONE, *VARIANTS, "robust"))
    ]


def budgets(found: Sequence[System]) -> list[Budget]:
    """The budgets of the aware attackers, L-infinity's before L2's."""
    return _ordered({budget for system in found for budget in system.aware})


def choice(found: Sequence[System]) -> Choice | None:
    """The system that holds best against attackers who know of it; None if none holds.

    A system holds if the 95% interval of its worst case lies above one half, and above that of the
    classifier alone.
    """
    for budget in budgets(found):
        holding = [system for system in found if holds(system, budget, found)]
        if holding:
            best = max(holding, key=lambda system: system.aware[budget].worst["value"])
            low = best.aware[budget].worst["ci_low"]
            rivals = [
                s for s in holding if s is not best and s.aware[budget].worst["ci_high"] >= low
            ]
            return Choice(best, budget, rivals)
    return None


def shortlist(found: Sequence[System]) -> list[System]:
    """At most three: the classifier alone, the paper's best variant, and the one to use.

    The best is the one that keeps most under unaware attackers.
    Where there is none to use, `robust`, if it was measured.
    """
    paper = [s for s in found if s.name in VARIANTS and s.unaware is not None]
    best = max(paper, key=lambda s: s.unaware["value"] if s.unaware else 0.0, default=None)
    chosen = choice(found)
    last = chosen.system.name if chosen else "robust"
    wanted = (ALONE, best.name if best else "", last)
    return [system for system in found if system.name in wanted]


def warnings(rows: Sequence[Row]) -> list[str]:
    """A warning where purifiers did not meet attackers who know of them."""
    missing = [s.title for s in systems(rows) if s.name != ALONE and not s.aware]
    if not missing:
        return []
    return [
        f"Not measured: attackers who know of the purifier, for {', '.join(missing)}. Their other "
        "figures say nothing about such attackers. Expect these to win: purifiers of this kind "
        "have been broken that way."
    ]


def budget_name(budget: Budget) -> str:
    """Like "L-infinity 0.3"."""
    return f"{_NORMS[budget[0]]} {budget[1]:g}"


def attack_summary(row: Row) -> str:
    """An attack and its budget, in plain text: "PGD, epsilon 0.3", "CW-L2, no budget"."""
    given = row["parameters"]
    title = ATTACKS[row["attack"]]
    if row["attack"] in NO_BUDGET:
        return f"{title}, no budget"
    if given.get("norm") in _NORMS:
        title = "all attacks together" if row["attack"] == "worst_case" else title
        return f"{title}, {budget_name((given['norm'], given['epsilon']))}"
    return f"{title}, epsilon {given['epsilon']:g}" if "epsilon" in given else title


def _is_aware(row: Row) -> bool:
    return (
        row["table"] == "robustness"
        and (row["attack"], row["threat_model"]) == ("worst_case", "end_to_end")
        and row["parameters"]["norm"] in _NORMS
        # Of a part of the images only.
        and "met" not in row["parameters"]
    )


def _budgets(rows: Sequence[Row]) -> list[Budget]:
    return _ordered({budget_of(row) for row in rows if _is_aware(row)})


def _ordered(found: set[Budget]) -> list[Budget]:
    return sorted(found, key=lambda budget: (list(_NORMS).index(budget[0]), budget[1]))


def _system(name: str, rows: Sequence[Row], main: Budget | None) -> System:
    # The pipeline draws the images of a table and of robustness stages apart: the larger sample is
    # the clean figure.
    clean = [row for row in rows if row["attack"] == "none"]
    unaware = [row for row in rows if _is_unaware(row, main)]
    worst = _least(unaware)
    within = _least([row for row in unaware if row["attack"] not in NO_BUDGET])
    return System(
        name,
        max(clean, key=lambda row: row["n"], default=None),
        worst,
        within if worst is not None and worst["attack"] in NO_BUDGET else None,
        {budget: _aware(rows, budget) for budget in _budgets(rows)},
    )


def _is_unaware(row: Row, main: Budget | None) -> bool:
    """Whether the attack was made on the classifier alone; of robustness stages in `main` only."""
    if row["attack"] == "none":
        return False
    if row["table"] != "robustness":
        return row["threat_model"] != "end_to_end"
    return (
        row["threat_model"] == "oblivious"
        and "met" not in row["parameters"]
        and budget_of(row) == main
    )


def _aware(rows: Sequence[Row], budget: Budget) -> Aware:
    worst = [row for row in rows if _is_aware(row) and budget_of(row) == budget]
    # The worst case over all threat models is among them where it was taken: who knows most can do
    # what the others do.
    least = min(worst, key=lambda row: row["value"])
    single = [
        row
        for row in rows
        if row["table"] == "robustness"
        and row["threat_model"] == "end_to_end"
        and row["attack"] not in ("none", "worst_case", "pgd_curve")
        and budget_of(row) == budget
        # What a sequence's attack leaves, all before it left: its own name says too little.
        and "after" not in row["parameters"]
    ]
    whole = [row for row in single if row["n"] == least["n"]]
    return Aware(least, _least(whole or single))


def _least(rows: Sequence[Row]) -> Row | None:
    # Of equal figures that within a budget says more.
    order = list(ATTACKS)
    return min(
        rows,
        key=lambda row: (row["value"], row["attack"] in NO_BUDGET, order.index(row["attack"])),
        default=None,
    )


def holds(system: System, budget: Budget, found: Sequence[System]) -> bool:
    """Whether a system keeps more than half, and more than the classifier, beyond the intervals."""
    if system.name == ALONE or budget not in system.aware:
        return False
    alone = [
        other.aware[budget].worst["ci_high"]
        for other in found
        if other.name == ALONE and budget in other.aware
    ]
    return system.aware[budget].worst["ci_low"] > max([HALF, *alone])
