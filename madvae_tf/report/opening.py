"""The result of a run (`result`) as the page opens with it, as Markdown, and as the last lines of `make run`.

All three have a row a system and the same columns: without an attack, under unaware attackers, under aware ones.
"""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from madvae_tf.report import recommendation, result, summary
from madvae_tf.report.grids import GRID
from madvae_tf.report.markup import DASH, attack_title, budget_title, figure, table, text
from madvae_tf.report.names import NORMS, Row
from madvae_tf.report.result import System

_NOT_MEASURED = "not measured"
_COLUMNS = ("Clean", "Attacker unaware (worst attack)", "Attacker aware (worst attack)")
_WIDTH = 100
# What measures aware attackers in a run whose configuration does not ask for it; quick.py's numbers.
AWARE = (
    *("robustness.defenses=none,variants", "robustness.threat_models=end_to_end"),
    *("robustness.suites=gradient", "robustness.images=100", "robustness.restarts=1"),
    "robustness.sanity_images=0",
)


def section(rows: Sequence[Row]) -> str:
    """The table, and below it which purifier to use; nothing without rows of any system."""
    found = result.systems(rows)
    if not found:
        return ""
    balls: Sequence[result.Ball | None] = result.balls(found) or [None]
    chosen = result.choice(found)
    body = []
    for system in found:
        used = '<span class="detail use">use this one</span>' if chosen and chosen.system is system else ""
        cells = [_clean(system), _unaware(system), *(_aware(system, ball) for ball in balls)]
        body.append([f"{text(system.title)}{used}", *cells])
    clean, unaware, aware = _COLUMNS
    several = len(balls) > 1
    heads = [f"{aware}{f', {_norm(ball)}' if several and ball else ''}" for ball in balls]
    shown = _rows(found)
    caption = (
        "<b>Accuracy against the label, with its 95% interval.</b> Aware: an image counts only if every attack on the whole system fails; "
        f"the attack named leaves least by itself.{summary.several_seeds(shown)} {summary.evidence(shown)}."
    )
    said = recommendation.sentences(found)
    answer = (
        f'<p class="answer"><strong>{text(said[0])}</strong> {text(" ".join(said[1:]))}</p>' if said else ""
    )
    return table("result", caption, ["System", clean, unaware, *heads], body, attributes=GRID) + answer


def markdown(results: Mapping[str, Any]) -> str:
    """The table and the sentences; "" without rows of any system."""
    found = result.systems(results["rows"])
    if not found:
        return ""
    balls: Sequence[result.Ball | None] = result.balls(found) or [None]
    clean, unaware, aware = _COLUMNS
    heads = [f"{aware}{f', {result.ball_title(ball)}' if ball else ''}" for ball in balls]
    lines = [["system", clean, unaware, *heads], ["---"] * (3 + len(balls))]
    for system in found:
        cells = [
            _plain_clean(system),
            _plain_unaware(system),
            *(_plain_aware(system, ball) for ball in balls),
        ]
        lines.append([system.title, *(", ".join(cell) for cell in cells)])
    rendered = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    said = " ".join([*recommendation.sentences(found), *result.warnings(results["rows"])])
    return f"**The result**, accuracy and its 95% interval.\n\n{rendered}\n\n{said}"


def last_lines(results: Mapping[str, Any], workdir: Path | str, exported: bool) -> list[str]:
    """What `make run` ends with: the result in three rows, the page's path, and the next command.

    Args:
        results: of results.json.
        workdir: of the run, as the user wrote it.
        exported: whether it has the exports that the playground shows.
    """
    found = result.systems(results["rows"])
    chosen = result.choice(found)
    ball = chosen.ball if chosen else next(iter(result.balls(found)), None)
    lines = _terminal_table(result.shortlist(found), ball)
    said = " ".join(recommendation.sentences(found))
    lines += textwrap.wrap(said, _WIDTH)
    missing = result.warnings(results["rows"])
    lines += [each for warning in missing for each in textwrap.wrap(f"Warning: {warning}", _WIDTH)]
    lines.append(f"Page: {Path(workdir) / 'report' / 'index.html'}")
    command = (results.get("run") or {}).get("command")
    if missing and command:
        sets = " ".join(f"--set={each}" for each in AWARE)
        lines += ["Next, measure them:", f"  {command} --workdir={workdir} {sets}"]
    elif exported:
        lines += ["Next, attack and purify digits in the browser:", f"  make playground WORKDIR={workdir}"]
    elif command:
        lines += ["Next, export them as SavedModels:", f"  {command} --workdir={workdir}"]
    return lines


def _terminal_table(found: Sequence[System], ball: result.Ball | None) -> list[str]:
    """Two lines a system: figures, and below them attacks and n; the aware attackers' within `ball`."""
    if not found:
        return []
    heads = ["Result", *(column.lower() for column in _COLUMNS)]
    table = [[heads, []]]
    for system in found:
        cells = [_plain_clean(system), _plain_unaware(system), _plain_aware(system, ball)]
        first, *rest = zip(*((cell + ["", ""])[:2] for cell in cells), strict=True)
        table.append([[system.title, *first], *(["", *each] for each in rest)])
    flat = [line for lines in table for line in lines if line]
    widths = [max(len(line[column]) for line in flat) for column in range(len(heads))]
    return [
        "  ".join(part.ljust(width) for part, width in zip(line, widths, strict=True)).rstrip()
        for line in flat
    ]


def _plain(row: Row, *details: str) -> list[str]:
    """A figure with its interval; what it was measured with."""
    interval = "" if row["ci_low"] is None else f" [{row['ci_low']:.4f}, {row['ci_high']:.4f}]"
    return [f"{row['value']:.4f}{interval}", ", ".join([*details, f"n = {row['n']}"])]


def _plain_clean(system: System) -> list[str]:
    return _plain(system.clean) if system.clean else [_NOT_MEASURED]


def _plain_unaware(system: System) -> list[str]:
    return _plain(system.unaware, result.attack_words(system.unaware)) if system.unaware else [_NOT_MEASURED]


def _plain_aware(system: System, ball: result.Ball | None) -> list[str]:
    found = system.aware.get(ball) if ball else None
    if found is None:
        return [_NOT_MEASURED]
    return _plain(found.worst, result.attack_words(found.attack or found.worst))


def _clean(system: System) -> str:
    return _cell(system.clean, [f"n = {system.clean['n']}"]) if system.clean else DASH


def _unaware(system: System) -> str:
    if system.unaware is None:
        return DASH
    shown = _cell(system.unaware, [text(result.attack_words(system.unaware)), f"n = {system.unaware['n']}"])
    if system.bounded is None:
        return shown
    within = [
        f"the worst with a budget: {text(result.attack_words(system.bounded))}",
        f"n = {system.bounded['n']}",
    ]
    return shown + _cell(system.bounded, within)


def _aware(system: System, ball: result.Ball | None) -> str:
    found = system.aware.get(ball) if ball else None
    if found is None:
        return f'<span class="missing">{_NOT_MEASURED}</span>'
    details = [f"n = {found.worst['n']}"]
    if found.attack is not None:
        details.insert(0, f"{attack_title(found.attack['attack'])}, {budget_title(found.attack)}")
    if "partial" in found.worst["parameters"]:
        details.append("an upper bound: some attacks met a part of the images")
    return _cell(found.worst, details)


def _cell(row: Row, details: Sequence[str]) -> str:
    # The paper has figures of some cells only; Table 1 shows them.
    return f'<span class="accuracy">{figure({**row, "paper": None})}</span><span class="detail">{" · ".join(details)}</span>'


def _norm(ball: result.Ball) -> str:
    return f"{NORMS[ball[0]]} {ball[1]:g}"


def _rows(found: Sequence[System]) -> list[Row]:
    """Every row that the table shows."""
    aware = [aware.worst for system in found for aware in system.aware.values()]
    others = [row for system in found for row in (system.clean, system.unaware, system.bounded)]
    return [*(row for row in others if row is not None), *aware]
