"""The result of a run (`result`): the page's first section, Markdown, the last lines of `make run`.

All three show one table: a row a system; without an attack, under unaware and under aware
attackers.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from madvae_tf.report import recommendation, result, summary
from madvae_tf.report.formats import to_markdown
from madvae_tf.report.names import Budget, Row
from madvae_tf.report.parts import Part, paragraph
from madvae_tf.report.result import System
from madvae_tf.report.table import Cell, Figure, Table

_NOT_MEASURED = Cell("not measured", kind="missing")
_COLUMNS = ("Clean", "Attacker unaware (worst attack)", "Attacker aware (worst attack)")
_WIDTH = 100
# What measures aware attackers in a run whose configuration does not ask for it; quick.py's
# numbers.
AWARE = (
    *("robustness.defenses=none,variants", "robustness.threat_models=end_to_end"),
    *("robustness.suites=gradient", "robustness.images=100", "robustness.restarts=1"),
    "robustness.sanity_images=0",
)


def section(rows: Sequence[Row], warnings: Sequence[Any]) -> list[Part | Table]:
    """Which purifier to use, the table, the run's warnings; without systems the warnings only."""
    found = result.systems(rows)
    answer = recommendation.sentences(found)
    parts: list[Part | Table] = []
    if answer:
        parts.append(paragraph(" ".join(answer[1:]), strong=answer[0], kind="answer"))
    if found:
        parts.append(table(found, result.budgets(found)))
    return [*parts, *([summary.warning_list(warnings, banner=True)] if warnings else [])]


def markdown(results: Mapping[str, Any]) -> str:
    """The table and the sentences; "" without rows of any system."""
    found = result.systems(results["rows"])
    if not found:
        return ""
    answer = " ".join([*recommendation.sentences(found), *result.warnings(results["rows"])])
    return f"{to_markdown(table(found, result.budgets(found)))}\n\n{textwrap.fill(answer, _WIDTH)}"


def table(found: Sequence[System], budgets: Sequence[Budget]) -> Table:
    """A system a row; the aware attackers within each of `budgets` in columns."""
    chosen = result.choice(found)
    several = len(budgets) > 1
    body = []
    for system in found:
        used = ("use this one",) if chosen and chosen.system.name == system.name else ()
        aware = [_aware(system, budget) for budget in budgets or [None]]
        body.append((Cell(system.title, used), _clean(system), _unaware(system), *aware))
    clean, unaware, aware_title = _COLUMNS
    heads = [
        f"{aware_title}{f', {result.budget_name(budget)}' if several else ''}" for budget in budgets
    ]
    shown = [
        row for system in found for row in (system.clean, system.unaware, system.bounded) if row
    ]
    shown += [
        aware.worst
        for system in found
        for budget, aware in system.aware.items()
        if budget in budgets
    ]
    text = (
        "Aware: an image counts only if every attack on the whole system fails; the attack named "
        f"leaves least by itself.{summary.several_seeds(shown)} {summary.evidence(shown)}."
    )
    columns = [*map(Cell, ("System", clean, unaware, *(heads or [aware_title])))]
    title = "Accuracy against the label, with its 95% interval."
    return Table("result", title, text, columns, body, kind="grid")


def _clean(system: System) -> Cell:
    return Cell(figures=(_figure(system.clean),)) if system.clean else Cell()


def _unaware(system: System) -> Cell:
    if system.unaware is None:
        return Cell()
    figures = [_figure(system.unaware, result.attack_summary(system.unaware))]
    if system.bounded is not None:
        figures.append(
            _figure(
                system.bounded, f"the worst with a budget: {result.attack_summary(system.bounded)}"
            )
        )
    return Cell(figures=tuple(figures))


def _aware(system: System, budget: Budget | None) -> Cell:
    found = system.aware.get(budget) if budget else None
    if found is None:
        return _NOT_MEASURED
    notes = [result.attack_summary(found.attack or found.worst)]
    if "partial" in found.worst["parameters"]:
        notes.append("an upper bound: some attacks met a part of the images")
    return Cell(figures=(_figure(found.worst, *notes),))


def _figure(row: Row, *notes: str) -> Figure:
    # The paper has figures of some cells only; Table 1 shows them.
    return Figure.of(row, paper=None, note=", ".join([*notes, f"n = {row['n']}"]))


def last_lines(results: Mapping[str, Any], workdir: Path | str, exported: bool) -> list[str]:
    """What `make run` ends with: the result in three rows, the page's path, and the next command.

    Args:
        results: of results.json.
        workdir: of the run, as the user wrote it.
        exported: whether it has the exports that the playground shows.
    """
    found = result.systems(results["rows"])
    chosen = result.choice(found)
    budget = chosen.budget if chosen else next(iter(result.budgets(found)), None)
    lines = _terminal_table(result.shortlist(found), budget)
    answer = " ".join(recommendation.sentences(found))
    lines += textwrap.wrap(answer, _WIDTH)
    missing = result.warnings(results["rows"])
    lines += [each for warning in missing for each in textwrap.wrap(f"Warning: {warning}", _WIDTH)]
    lines.append(f"Page: {Path(workdir) / 'report' / 'index.html'}")
    command = (results.get("run") or {}).get("command")
    if missing and command:
        sets = " ".join(f"--set={each}" for each in AWARE)
        lines += ["Next, measure them:", f"  {command} --workdir={workdir} {sets}"]
    elif exported:
        lines += [
            "Next, attack and purify digits in the browser:",
            f"  make playground WORKDIR={workdir}",
        ]
    elif command:
        lines += ["Next, export them as SavedModels:", f"  {command} --workdir={workdir}"]
    return lines


def _terminal_table(found: Sequence[System], budget: Budget | None) -> list[str]:
    """Two lines a system: figures, and below them attacks and n; aware ones within `budget`."""
    if not found:
        return []
    flat = [["Result", *(column.lower() for column in _COLUMNS)]]
    for head, *cells in table(found, [budget] if budget else []).rows:
        figures = [cell.figures[:1] for cell in cells]
        values = [
            f"{own[0].shown} {own[0].ends}".strip() if own else _NOT_MEASURED.text
            for own in figures
        ]
        flat += [[head.text, *values], ["", *(own[0].note if own else "" for own in figures)]]
    widths = [max(len(line[column]) for line in flat) for column in range(len(flat[0]))]
    return [
        "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in flat
    ]
