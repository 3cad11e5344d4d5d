"""What the paper's scale, and a hundred times that, would take: computed from the rates that `pipeline.costs` holds.

    python -m benchmarks.scale [--results=runs/quick/report/results.json]

Prints a Markdown table. With --results the rates that the run itself had stand below it: its stages' images over their seconds,
start-up and compiling included.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from madvae_tf.overrides import load_config
from pipeline import costs

PAIRS = {"paper's scale": 540_000, "100 times that": 54_000_000}
# One float32 image, its index and its label; the clean one is read from the data set.
PAIR_BYTES = 28 * 28 * 4 + 8 + 8


def rows(pairs: int, config: Any) -> dict[str, float]:
    """What -> seconds on two cores, for `pairs` adversarial pairs, a third of them CW's."""
    one = costs.purifier_seconds(pairs, config.vae.epochs)
    search = {
        "max_iterations": config.attack.cw_train_iterations,
        "binary_search_steps": config.attack.cw_train_search_steps,
    }
    found = {
        f"one purifier, {config.vae.epochs} epochs": one,
        "four variants": 4 * one,
        "FGSM and Rand-FGSM images (two thirds of the pairs)": costs.attack_seconds(
            "fgsm", {}, 2 * pairs // 3, ""
        ),
    }
    for precision in ("float32", "bfloat16"):
        name = f"CW images (a third; {search['binary_search_steps']} x {search['max_iterations']} iterations), {precision}"
        found[name] = costs.attack_seconds("cw", search, pairs // 3, precision)
    return found


def spoken(seconds: float) -> str:
    """ "3.8 hours"."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.1f} {unit}"
    return f"{seconds:.0f} s"


def observed(results: Path) -> list[str]:
    """The rates of a run's own stages, one line each."""
    run = json.loads(results.read_text(encoding="utf-8"))["run"]
    attack, vae = run["config"]["attack"], run["config"]["vae"]
    seconds = {(stage["stage"], stage["instance"]): stage["seconds"] for stage in run["stages"]}
    work = {
        ("attack", f"train-cw-{confidence:g}"): (
            "image-iterations",
            attack["train_cw_images"] * attack["cw_train_iterations"] * attack["cw_train_search_steps"],
        )
        for confidence in attack["train_confidences"]
    }
    pairs = len(attack["train_epsilons"]) * 2 * attack["train_images"] + attack["train_clean_images"]
    pairs += len(attack["train_confidences"]) * attack["train_cw_images"]
    for variant in ("warmup", *vae["variants"]):
        epochs = vae["warmup_epochs"] if variant == "warmup" else vae["epochs"]
        work["vae", variant] = ("images", pairs * epochs)
    return [
        f"{' '.join(stage)}: {amount / seconds[stage]:,.0f} {what} a second"
        for stage, (what, amount) in work.items()
        if stage in seconds
    ]


def main(arguments: argparse.Namespace) -> None:
    """Prints the table."""
    config = load_config(arguments.config)
    columns = [rows(pairs, config) for pairs in PAIRS.values()]
    print("| | " + " | ".join(f"{name}: {pairs:,} pairs" for name, pairs in PAIRS.items()) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(spoken(column[name]) for column in columns) + " |")
    sizes = (f"{pairs * PAIR_BYTES / 1e9:,.1f} GB" for pairs in PAIRS.values())
    print(f"| on disk ({PAIR_BYTES:,} bytes a pair) | " + " | ".join(sizes) + " |")
    if arguments.results:
        print("\n".join(["", *observed(arguments.results)]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/paper.py")
    parser.add_argument("--results", type=Path)
    main(parser.parse_args())
