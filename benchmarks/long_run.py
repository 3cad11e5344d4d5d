"""Watches a long run of the pipeline: memory, log, progress and how right its ETA was; a table and
a picture.

    python -m benchmarks.long_run --minutes=60 --out=docs/results/long-run -- --stage=attack --config=configs/paper.py --workdir=runs/long

Ends the run with SIGTERM after so many minutes (it goes on from there another time). Written:
`<out>.csv`, a row every ten seconds, as they come; `<out>.json`, the summary, and `<out>.svg`,
resident memory over time. `--read=<out>.csv` makes these two again from a table that is there.

An ETA is held against what happened, at the moment it was said: the seconds until its bar ended; of
a bar that the hour did not see end, the seconds to the last place seen, against the same part of
the ETA. It is judged once a twentieth of its bar is done or the bar has run for a minute: before
that nothing can be known.
"""  # noqa: E501

import argparse
import contextlib
import csv
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

# A line of tqdm's: "train cw:  67%|###| 40/60 [00:20<00:10, 1.97image/s]".
_BAR = re.compile(
    r"(?P<title>[^\r\n]*?):\s+\d+%\|[^|]*\| (?P<done>[\d.]+)/(?P<total>\d+)"
    r" \[(?P<spent>[\d:]+)<(?P<left>[\d:?]+)"
)
_PAGE = resource.getpagesize()
_TICKS = os.sysconf("SC_CLK_TCK")
# An ETA is judged from here on, if a twentieth of its bar is not done before.
_FIRST_SECONDS = 60.0
_NAMES = ["second", "cpu_seconds", "resident_mib", "log_bytes", "title", "done", "total", "eta"]


def seconds(text: str) -> float | None:
    """ "1:02:03" -> 3723.0; None for what tqdm does not know yet."""
    if "?" in text:
        return None
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def sample(pid: int, log: Path, began: float) -> dict[str, Any]:
    """What can be seen of the run now."""
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    # After the name, which may hold spaces: user and system time are the 14th and 15th field of the
    # line.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(0, size - 4000))
        bars = list(_BAR.finditer(file.read().decode(errors="replace")))
    row: dict[str, Any] = {
        "second": round(time.monotonic() - began, 1),
        "cpu_seconds": round((int(fields[11]) + int(fields[12])) / _TICKS, 1),
        "resident_mib": resident // 2**20,
        "log_bytes": size,
    }
    if bars:
        last = bars[-1]
        row |= {
            "title": last["title"].strip(),
            "done": float(last["done"]),
            "total": int(last["total"]),
            "eta": seconds(last["left"]),
        }
    return row


def eta_errors(rows: list[dict[str, Any]]) -> list[float]:
    """How far off each ETA was, as a share of what it should have been, in order of time."""
    found = []
    began = 0.0
    for number, row in enumerate(rows):
        before = rows[number - 1] if number else {}
        # Sets of one attack share a title, so a bar ends where the title or the count of what is
        # done begins anew.
        if before.get("title") != row.get("title") or before.get("done", 0) > row.get("done", 0):
            began = row["second"]
        if row.get("eta") is None or not (
            row["done"] > 0.05 * row["total"] or row["second"] - began >= _FIRST_SECONDS
        ):
            continue
        # A bar that has not moved since the last sample says nothing new.
        if before.get("done") == row["done"]:
            continue
        later = [row]
        for other in rows[number + 1 :]:
            if other.get("title") != row["title"] or other["done"] < later[-1]["done"]:
                break
            later.append(other)
        # The first sample that shows the place where the bar was last seen: from then on it has
        # only stood there.
        last = next(other for other in later if other["done"] == later[-1]["done"])
        part = (
            (last["done"] - row["done"]) / (row["total"] - row["done"])
            if row["total"] > row["done"]
            else 0
        )
        after = [other for other in rows if other["second"] > later[-1]["second"]]
        # A bar that was not seen full ended at the latest at the next one's first sample.
        if after and last["done"] < last["total"]:
            last, part = after[0], 1.0
        real = last["second"] - row["second"]
        # In the last minute a sample every ten seconds says nothing of a fifth.
        if real > 60:
            found.append(abs(row["eta"] * part - real) / real)
    return found


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Memory in the first and the last third of the run; the log; how far ETAs were off."""
    third = max(1, len(rows) // 3)
    memory = [row["resident_mib"] for row in rows]
    off = sorted(eta_errors(rows))
    return {
        "minutes": round(rows[-1]["second"] / 60, 1),
        "cpu_minutes": round(rows[-1]["cpu_seconds"] / 60, 1),
        "resident_mib_first_third": max(memory[third // 2 : third] or memory),
        "resident_mib_last_third": max(memory[-third:]),
        "log_bytes": rows[-1]["log_bytes"],
        "eta_samples": len(off),
        "eta_median_error": round(off[len(off) // 2], 3) if off else None,
        "eta_within_20_percent": (
            round(sum(each <= 0.2 for each in off) / len(off), 3) if off else None
        ),
    }


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Resident memory over time, and where one adversarial set ends and the next begins."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    minutes = [row["second"] / 60 for row in rows]
    axes.plot(minutes, [row["resident_mib"] for row in rows])
    for before, after in zip(rows, rows[1:], strict=False):
        if before.get("title") != after.get("title"):
            axes.axvline(after["second"] / 60, color="0.8", linewidth=0.8)
    axes.set(
        xlabel="minutes",
        ylabel="resident memory, MiB",
        ylim=(0, None),
        title="Generation: memory over time (grey: next set)",
    )
    figure.savefig(path)


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a table that a run has left."""

    def value(name: str, text: str) -> str | int | float:
        if name == "title":
            return text
        return int(text) if text.isdigit() else float(text)

    with path.open(newline="") as table:
        rows = list(csv.DictReader(table))
    return [{name: value(name, text) for name, text in row.items() if text != ""} for row in rows]


def _terminal(log: BinaryIO) -> int:
    """A terminal for a run, which draws its bars on nothing else; what it is sent goes to `log`.
    Returns its descriptor.
    """
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, 120))

    def copy() -> None:
        # The read fails when the run has ended.
        with contextlib.suppress(OSError):
            while sent := os.read(ours, 4096):
                log.write(sent)
                log.flush()

    threading.Thread(target=copy, daemon=True).start()
    return its


def watch(arguments: argparse.Namespace) -> tuple[list[dict[str, Any]], int]:
    """Runs the pipeline, writes a row for every sample; returns the rows and the exit status, 0
    where the time was over.
    """
    rows: list[dict[str, Any]] = []
    log = arguments.out.with_suffix(".log")
    with (
        log.open("wb") as file,
        arguments.out.with_suffix(".csv").open("w", newline="", buffering=1) as table,
    ):
        writer = csv.DictWriter(table, _NAMES, restval="")
        writer.writeheader()
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.run", *arguments.flags], stderr=_terminal(file)
        )
        began = time.monotonic()
        try:
            while process.poll() is None and time.monotonic() - began < 60 * arguments.minutes:
                time.sleep(arguments.every)
                if process.poll() is None:
                    rows.append(sample(process.pid, log, began))
                    writer.writerow(rows[-1])
        finally:
            over = process.poll() is None
            if over:
                process.send_signal(signal.SIGTERM)
            status = process.wait()
    if not rows:
        print(f"the run ended before the first sample, status {status}; see {log}")
    return rows, 0 if over else status


def main(arguments: argparse.Namespace) -> int:
    """Runs and watches, or reads; returns the exit status."""
    out: Path = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    rows, status = (read(arguments.read), 0) if arguments.read else watch(arguments)
    if not rows:
        return 1
    found = summary(rows)
    out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    draw(rows, out.with_suffix(".svg"))
    print(json.dumps(found, indent=2))
    return status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("runs/long-run"))
    parser.add_argument(
        "--read", type=Path, help="a table to make the summary and the picture from; nothing is run"
    )
    parser.add_argument("flags", nargs="*")
    sys.exit(main(parser.parse_args()))
