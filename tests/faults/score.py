"""What was tried, what survived, what lost data."""

import dataclasses
import json
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any


@dataclasses.dataclass
class Case:
    """One fault: which, where, what came of it ("survived", "failed", "lost data" or "skipped") and
    why.
    """

    fault: str
    where: str
    outcome: str
    detail: str
    seconds: float


class LostData(AssertionError):
    """Something that was finished before the fault is not there, or not the same, after it."""


class Skipped(Exception):
    """The machine cannot have this fault; the reason is the message."""


class Score:
    """The cases so far; `table` and `write` tell of them."""

    def __init__(self) -> None:
        self.cases: list[Case] = []
        self.began = time.monotonic()

    def case(self, fault: str, where: str, work: Callable[[], object]) -> bool:
        """Runs one fault; whatever it raises is its outcome. Returns whether it survived."""
        start = time.monotonic()
        outcome, detail = "survived", ""
        try:
            detail = str(work() or "")
        except Skipped as reason:
            outcome, detail = "skipped", str(reason)
        except LostData as error:
            outcome, detail = "lost data", str(error)
        except AssertionError as error:
            outcome, detail = "failed", str(error) or traceback.format_exc(limit=-1)
        seconds = time.monotonic() - start
        self.cases.append(Case(fault, where, outcome, detail, round(seconds, 2)))
        said = detail if outcome in ("failed", "lost data") else detail[:300]
        sys.stdout.write(f"{outcome:9}  {fault:24} {where:28} {seconds:6.1f} s  {said}\n")
        sys.stdout.flush()
        return outcome == "survived"

    def counts(self) -> dict[str, dict[str, int]]:
        """Fault, and "all" -> tried, survived, lost_data, skipped."""
        found: dict[str, dict[str, int]] = {}
        for case in self.cases:
            for name in (case.fault, "all"):
                row = found.setdefault(
                    name, {"tried": 0, "survived": 0, "lost_data": 0, "skipped": 0}
                )
                row["skipped" if case.outcome == "skipped" else "tried"] += 1
                row["survived"] += case.outcome == "survived"
                row["lost_data"] += case.outcome == "lost data"
        return found

    def table(self) -> str:
        """The counts for people."""
        lines = [f"{'fault':26}{'tried':>7}{'survived':>10}{'lost data':>11}{'skipped':>9}"]
        for name, row in self.counts().items():
            lines.append(
                f"{name:26}"
                + f"{row['tried']:7}{row['survived']:10}{row['lost_data']:11}{row['skipped']:9}"
            )
        return "\n".join(lines) + "\n"

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """All of it as JSON."""
        record = {
            **facts,
            "seconds": round(time.monotonic() - self.began, 1),
            "counts": self.counts(),
            "cases": [dataclasses.asdict(case) for case in self.cases],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
