"""The stage that writes the report: the page, its figures and `results.json`."""

import subprocess
from pathlib import Path
from typing import Any

from pipeline.engine import artifacts
from pipeline.engine.plan import Context
from pipeline.steps.common import ARRAYS, class_names_in, read_json, start_anew


def write_report(context: Context) -> None:
    """The page, its figures and `results.json`, from the rows of every evaluated defence."""
    import numpy as np

    from madvae_tf.config import from_dict
    from madvae_tf.config.defenses import baseline_notes
    from madvae_tf.data.catalogue import dataset_name
    from madvae_tf.evaluation.oblivious import sanity_warnings
    from madvae_tf.report import write_report as write

    start_anew(context)
    rows: list[dict[str, Any]] = []
    images: dict[str, Any] = {}
    clusters: dict[str, Any] = {}
    evaluated = context.channel("evaluate")
    clustered, tested = context.channel("clusters"), context.channel("robustness")
    timed = [context.inputs["time"]] if "time" in context.inputs else []
    measured = [
        *evaluated.values(),
        *context.channel("black_box").values(),
        *clustered.values(),
        *timed,
    ]
    for folder in (*measured, *tested.values()):
        rows += read_json(folder / "rows.json")
    for folder in evaluated.values():
        with np.load(folder / "images.npz", allow_pickle=False) as file:
            images |= dict(file)
    for folder in clustered.values():
        with np.load(folder / "clusters.npz", allow_pickle=False) as file:
            clusters |= dict(file)
    doubts = [doubt for folder in tested.values() for doubt in read_json(folder / "warnings.json")]
    metrics = read_json(context.inputs["classifier"] / "metrics.json")
    manifests = artifacts.lineage(context.inputs.values())
    dataset = dataset_name(from_dict(context.config["config"]).data)
    run = {
        "name": context.config["config"]["name"],
        "project_version": artifacts.library_versions()["madvae_tf"],
        "commit": _commit(),
        "dataset": dataset,
        "classes": class_names_in(context.inputs["data"], dataset),
        "seed": context.config["config"]["seed"],
        "command": context.config["command"],
        "config": context.config["config"],
        "precision": context.config["precision"],
        "source": read_json(context.inputs["data"] / "source.json"),
        "versions": artifacts.library_versions(),
        "machine": _machine(),
        "stages": [
            {key: manifest[key] for key in ("stage", "instance", "seconds", "peak_memory_bytes")}
            for manifest in manifests
        ],
        "classifier": {
            "test_accuracy": metrics["test"]["accuracy"],
            "ci": metrics["test"]["ci"],
            "n": metrics["test"]["n"],
            "validation_accuracy": metrics["validation"]["accuracy"],
        },
        "training": {
            name: _training_log(folder / "log.csv")
            for name, folder in context.channel("vae").items()
            # A purifier that was trained elsewhere has no log.
            if (folder / "log.csv").exists()
        },
        "notes": baseline_notes(from_dict(context.config["config"]).baselines),
        "warnings": [*sanity_warnings(rows), *doubts, *_unusual(context)],
    }
    if "tune" in context.inputs:
        used = "tuned" if context.config["config"]["name"].endswith("-tuned") else "hand-picked"
        run["tuning"] = {**read_json(context.inputs["tune"] / "tuned.json"), "used": used}
    write(context.folder, run, rows, images, clusters)


def _unusual(context: Context) -> list[str]:
    """A warning where the budget of the tests is unusual for data of another's."""
    from madvae_tf.data.own import load_arrays
    from madvae_tf.utils.budgets import usual_budget

    arrays = context.inputs["data"] / ARRAYS
    if not arrays.is_dir():
        return []
    usual = usual_budget(load_arrays(arrays)["train"].images)
    sentence = usual.warning(context.config["config"]["attack"]["test_epsilon"])
    return [f"attack.test_epsilon: {sentence}"] if sentence else []


def _training_log(path: Path) -> dict[str, list[float | None]]:
    import csv

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [float(row[name]) if row[name] else None for row in rows]
        for name in (rows[0] if rows else {})
    }


def _commit() -> str | None:
    """The commit of the code that runs, with "+" where files differ from it; None outside a
    checkout.
    """
    root = Path(__file__).resolve().parents[2]
    # An installation may lie inside somebody else's checkout.
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(  # noqa: S603
            [  # noqa: S607
                "git",
                "-C",
                str(root),
                "describe",
                "--always",
                "--dirty=+",
                "--abbrev=12",
                "--exclude=*",
            ],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None


def _machine() -> dict[str, Any]:
    import platform

    from madvae_tf.utils.machine import usable_cores

    return {
        "cores": usable_cores(),
        "system": platform.system(),
        "architecture": platform.machine(),
    }
