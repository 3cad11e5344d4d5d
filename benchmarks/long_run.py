"""Watches a long run of the pipeline: memory, log, progress and how right its ETA was; a table and a picture.

    python -m benchmarks.long_run --minutes=60 --out=docs/long-run -- --stage=attack --config=configs/paper.py --workdir=runs/long

Ends the run with SIGTERM after so many minutes (it goes on from there another time). Written: `<out>.csv`, a row every ten
seconds, `<out>.json`, the summary, and `<out>.svg`, resident memory over time.
"""

import argparse
import csv
import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

# A line of tqdm's: "train cw:  67%|###| 40/60 [00:20<00:10, 1.97image/s]".
_BAR = re.compile(
    r"(?P<title>[^\r\n]*?):\s+\d+%\|[^|]*\| (?P<done>\d+)/(?P<total>\d+) \[(?P<spent>[\d:]+)<(?P<left>[\d:?]+)"
)
_PAGE = resource.getpagesize()


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
    size = log.stat().st_size
    with log.open("rb") as file:
        file.seek(max(0, size - 4000))
        bars = list(_BAR.finditer(file.read().decode(errors="replace")))
    row: dict[str, Any] = {
        "second": round(time.monotonic() - began, 1),
        "resident_mib": resident // 2**20,
        "log_bytes": size,
    }
    if bars:
        last = bars[-1]
        row |= {
            "title": last["title"].strip(),
            "done": int(last["done"]),
            "total": int(last["total"]),
            "eta": seconds(last["left"]),
        }
    return row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Memory in the first and the last third of the run; how far ETAs were off, of bars that were seen to end."""
    third = max(1, len(rows) // 3)
    memory = [row["resident_mib"] for row in rows]
    ends: dict[str, float] = {}
    for before, after in zip(rows, rows[1:], strict=False):
        if before.get("title") and after.get("title") != before["title"]:
            ends[before["title"]] = after["second"]
    off = []
    for row in rows:
        end, eta = ends.get(row.get("title", "")), row.get("eta")
        left = None if end is None else end - row["second"]
        # In the last half minute a sample every ten seconds says nothing of a fifth.
        if eta is not None and left is not None and left > 60 and row["done"] > 0.05 * row["total"]:
            off.append(abs(eta - left) / left)
    off.sort()
    return {
        "minutes": round(rows[-1]["second"] / 60, 1),
        "resident_mib_first_third": max(memory[third // 2 : third] or memory),
        "resident_mib_last_third": max(memory[-third:]),
        "log_bytes": rows[-1]["log_bytes"],
        "eta_samples": len(off),
        "eta_median_error": round(off[len(off) // 2], 3) if off else None,
        "eta_within_20_percent": round(sum(each <= 0.2 for each in off) / len(off), 3) if off else None,
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


def main(arguments: argparse.Namespace) -> int:
    """Runs and watches; returns the run's exit status, 0 where its time was over."""
    out: Path = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    log = out.with_suffix(".log")
    rows: list[dict[str, Any]] = []
    with log.open("wb") as file:
        process = subprocess.Popen([sys.executable, "-m", "pipeline.run", *arguments.flags], stderr=file)
        began = time.monotonic()
        try:
            while process.poll() is None and time.monotonic() - began < 60 * arguments.minutes:
                time.sleep(arguments.every)
                if process.poll() is None:
                    rows.append(sample(process.pid, log, began))
        finally:
            over = process.poll() is None
            if over:
                process.send_signal(signal.SIGTERM)
            status = process.wait()
    if not rows:
        print(f"the run ended before the first sample, status {status}; see {log}")
        return 1
    names = ["second", "resident_mib", "log_bytes", "title", "done", "total", "eta"]
    with out.with_suffix(".csv").open("w", newline="") as table:
        writer = csv.DictWriter(table, names, restval="")
        writer.writeheader()
        writer.writerows(rows)
    found = summary(rows)
    out.with_suffix(".json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    draw(rows, out.with_suffix(".svg"))
    print(json.dumps(found, indent=2))
    return 0 if over else status


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("runs/long-run"))
    parser.add_argument("flags", nargs="*")
    sys.exit(main(parser.parse_args()))
