"""What the paper's scale, and a hundred times that, would take: computed from the rates that
`pipeline.graph.costs` holds.

    python -m benchmarks.scale [--results=runs/quick/report/results.json] [--gpu_tflops=312 --gpu_share=0.05]

Prints a Markdown table for two cores and, with --gpu_tflops, one for a GPU: there was none to
measure, so that one divides the counted floating-point operations (`benchmarks.flops`) by the GPU's
peak times the share of it that one assumes. With --results the rates that the run itself had stand
below: its stages' images over their seconds, start-up and compiling included.
"""  # noqa: E501

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from madvae_tf.config.overrides import load_config
from madvae_tf.utils import console
from pipeline.graph import costs

VARIANTS = ("vanilla", "cls", "pd", "combined")
PAIRS = {"paper's scale": 540_000, "100 times that": 54_000_000}
# One float32 image, its index and its label; the clean one is read from the data set.
PAIR_BYTES = 28 * 28 * 4 + 8 + 8


class TwoCores:
    """Seconds by the measured rates."""

    def purifiers(self, images: int, variants: Sequence[str]) -> float:
        """Of training each of `variants` on so many images, epochs counted."""
        return len(variants) * costs.purifier_seconds(images, 1)

    def gradients(self, images: int) -> float:
        """Of one gradient of the classifier for each image, in float32."""
        return costs.attack_seconds("fgsm", {}, images, "float32")

    def searches(self, steps: int, precision: str) -> float:
        """Of so many steps of CW, over all images."""
        return costs.attack_seconds(
            "cw", {"max_iterations": steps, "binary_search_steps": 1}, 1, precision
        )


class Gpu:
    """Seconds by counted operations; `rate`: of them a second, whatever the precision."""

    def __init__(self, rate: float):
        from benchmarks.workers import ours_attacks, ours_training

        self._rate = rate
        self._step = {variant: ours_training.flops_per_image(variant) for variant in VARIANTS}
        self._gradient = ours_attacks.flops_per_gradient()

    def purifiers(self, images: int, variants: Sequence[str]) -> float:
        """As `TwoCores.purifiers`."""
        return images * sum(self._step[variant] for variant in variants) / self._rate

    def gradients(self, images: int) -> float:
        """As `TwoCores.gradients`."""
        return images * self._gradient / self._rate

    def searches(self, steps: int, precision: str) -> float:
        """As `TwoCores.searches`."""
        return steps * self._gradient / self._rate


def rows(pairs: int, config: Any, machine: TwoCores | Gpu) -> dict[str, float]:
    """What -> seconds for `pairs` adversarial pairs, a third of them CW's."""
    epochs, attack = config.vae.epochs, config.attack
    search = attack.cw_train_iterations * attack.cw_train_search_steps
    numbers = f"{attack.cw_train_search_steps} x {attack.cw_train_iterations} iterations"
    found = {
        f"one purifier, {epochs} epochs": machine.purifiers(pairs * epochs, VARIANTS[:1]),
        "four variants": machine.purifiers(pairs * epochs, VARIANTS),
        "FGSM and Rand-FGSM images (two thirds of the pairs)": machine.gradients(2 * pairs // 3),
    }
    for precision in ("float32", "bfloat16"):
        name = f"CW images (a third; {numbers}), {precision}"
        found[name] = machine.searches(search * (pairs // 3), precision)
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
            attack["train_cw_images"]
            * attack["cw_train_iterations"]
            * attack["cw_train_search_steps"],
        )
        for confidence in attack["train_confidences"]
    }
    pairs = (
        len(attack["train_epsilons"]) * 2 * attack["train_images"] + attack["train_clean_images"]
    )
    pairs += len(attack["train_confidences"]) * attack["train_cw_images"]
    for variant in ("warmup", *vae["variants"]):
        epochs = vae["warmup_epochs"] if variant == "warmup" else vae["epochs"]
        work["vae", variant] = ("images", pairs * epochs)
    return [
        f"{' '.join(stage)}: {amount / seconds[stage]:,.0f} {what} a second"
        for stage, (what, amount) in work.items()
        if stage in seconds
    ]


def table(config: Any, machine: TwoCores | Gpu) -> str:
    """The rows for both sizes, in Markdown."""
    columns = [rows(pairs, config, machine) for pairs in PAIRS.values()]
    lines = [
        "| | " + " | ".join(f"{name}: {pairs:,} pairs" for name, pairs in PAIRS.items()) + " |"
    ]
    lines += ["|---" * (1 + len(columns)) + "|"]
    lines += [
        f"| {name} | {' | '.join(spoken(column[name]) for column in columns)} |"
        for name in columns[0]
    ]
    sizes = (f"{pairs * PAIR_BYTES / 1e9:,.1f} GB" for pairs in PAIRS.values())
    return "\n".join([*lines, f"| on disk ({PAIR_BYTES:,} bytes a pair) | {' | '.join(sizes)} |"])


def main(arguments: argparse.Namespace) -> None:
    """Prints the tables."""
    config = load_config(arguments.config)
    print(table(config, TwoCores()))
    if arguments.gpu_tflops:
        rate = arguments.gpu_tflops * arguments.gpu_share
        print(
            f"\nA GPU that reaches {rate:g} TFLOP/s ({arguments.gpu_share:g} of"
            f" {arguments.gpu_tflops:g}), not measured:\n"
        )
        print(table(config, Gpu(1e12 * rate)))
    if arguments.results:
        print("\n".join(["", *observed(arguments.results)]))


if __name__ == "__main__":
    console.quiet()
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", default="configs/paper.py")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--gpu_tflops", type=float, help="a GPU's peak in TFLOP/s")
    parser.add_argument("--gpu_share", type=float, default=0.05, help="how much of it is reached")
    main(parser.parse_args())
