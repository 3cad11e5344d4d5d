"""The stages after training: evaluation, report and export."""

import subprocess
from pathlib import Path
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine import artifacts
from pipeline.engine.plan import Context
from pipeline.steps.common import defended, load_classifier, load_model, read_json, splits_of, start_anew

# Images of each test set whose latent codes TensorBoard's projector shows.
_POINTS = 100


def evaluate_defense(context: Context) -> None:
    """One defence (or none) on every test set: `rows.json`, `predictions.npz`, `images.npz`.

    With details also `tensorboard/`: confusion matrices, and the latent codes of a defence that has them.
    """
    import numpy as np
    import tensorflow as tf
    from scipy.special import softmax

    from madvae_tf.data.adversarial_sets import AdversarialSet
    from madvae_tf.data.batches import evenly_spaced
    from madvae_tf.data.prepare import to_float
    from madvae_tf.evaluation import oblivious
    from madvae_tf.report.names import POOLED_ATTACK
    from madvae_tf.training import tensorboard
    from madvae_tf.utils.progress import progress_bar

    start_anew(context)
    settings = context.config
    split = splits_of(context)["test"]
    classifier = load_classifier(context.inputs["classifier"])
    system = defended(context, classifier)
    undefended, logits = tf.function(classifier), tf.function(system.logits)
    detect = None if system.detect is None else tf.function(system.detect)
    size = settings["batch_size"]
    # Where another network stands in the classifier's place, the images were made on a model that is not the one they meet.
    replaced = settings["defense"] != "none" and system.purify is None
    common = {
        "dataset": settings["dataset"],
        "threat_model": "transfer" if replaced else "oblivious",
        "defense": settings["defense"],
        "seed": settings["row_seed"],
    }
    tests = {
        name.removeprefix("set:"): AdversarialSet.open(folder)
        for name, folder in context.inputs.items()
        if name.startswith("set:")
    }
    shown = _first_of_each_digit(list(tests.values())[-1]) if settings["details"] else ()
    rows: list[dict[str, Any]] = []
    predictions: dict[str, Any] = {}
    images: dict[str, Any] = {}
    points: dict[str, list[Any]] = {"image": [], "label": [], "predicted": [], "attack": []}
    with progress_bar(len(tests), f"evaluate {settings['defense']}", "set") as bar:
        for name, test in tests.items():
            picked = evenly_spaced(len(test), settings["images"])
            x_adv, index = test.gather(picked)
            clean, label = to_float(split.images[index]), test.labels[picked]
            found = oblivious.batched(logits, x_adv, size)
            predicted = found.argmax(axis=1)
            clean_predicted = oblivious.batched(undefended, clean, size).argmax(axis=1)
            parameters = {**test.metadata["parameters"], **settings["note"]}
            named = {**common, "attack": name, "parameters": parameters}
            rows += oblivious.defense_rows(settings["table"], predicted, label, clean_predicted, named)
            if settings["defense"] == "defense_vae":
                rows += oblivious.defense_rows("table4", predicted, label, clean_predicted, named)
            if detect is not None:
                refused = oblivious.batched(detect, x_adv, size)
                rows += oblivious.detection_rows(settings["table"], refused, predicted == label, named)
            if settings["defense"] == "none" and name != "none":
                rows += oblivious.attack_rows(x_adv, clean, predicted, label, named)
            predictions |= {f"{name}/predicted": predicted, f"{name}/label": label, f"{name}/index": index}
            some = evenly_spaced(len(label), _POINTS)
            values = (x_adv[some], label[some], predicted[some], np.full(len(some), name))
            for column, value in zip(points.values(), values, strict=True):
                column.append(value)
            places = np.flatnonzero(np.isin(index, shown))
            places = places[np.argsort(label[places])]
            if len(places) and len(places) == len(shown):
                images |= {"clean": clean[places], "label": label[places]}
                images[f"prediction/{settings['defense']}/{name}"] = predicted[places]
                images[f"probabilities/{settings['defense']}/{name}"] = softmax(found[places], axis=1)
                if system.purify is None:
                    images[f"adversarial/{name}"] = x_adv[places]
                else:
                    images[f"purified/{settings['defense']}/{name}"] = np.asarray(
                        system.purify(x_adv[places])
                    )
            bar.update()
    pooled = POOLED_ATTACK.split("+")
    if settings["details"] and set(pooled) <= set(tests):
        predicted, label = (
            np.concatenate([predictions[f"{name}/{field}"] for name in pooled])
            for field in ("predicted", "label")
        )
        rows += oblivious.confusion_rows(predicted, label, common)
    if settings["details"]:
        board = context.folder / "tensorboard"
        matrices = {
            name: tensorboard.confusion_matrix(predictions[f"{name}/predicted"], predictions[f"{name}/label"])
            for name in tests
        }
        tensorboard.write_confusions(board, matrices)
        if system.encode is not None:
            columns = {name: np.concatenate(values) for name, values in points.items()}
            seen = columns.pop("image")
            tensorboard.write_projector(
                board, oblivious.batched(tf.function(system.encode), seen, size), columns, seen
            )
    np.savez(context.folder / "predictions.npz", **predictions)
    np.savez(context.folder / "images.npz", **images)
    write_json(context.folder / "rows.json", rows)


def _first_of_each_digit(test: Any) -> Any:
    """Indices of the images that Figures 7-11 show: the first of each class in a test set."""
    import numpy as np

    return test.indices[np.unique(test.labels, return_index=True)[1]]


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
    doubts: list[str] = []
    for name, folder in context.inputs.items():
        if name.startswith(("evaluate:", "black_box:", "clusters:", "robustness:")) or name == "time":
            rows += read_json(folder / "rows.json")
        if name.startswith("evaluate:"):
            with np.load(folder / "images.npz", allow_pickle=False) as pictures:
                images |= dict(pictures)
        if name.startswith("robustness:"):
            doubts += read_json(folder / "warnings.json")
        if name.startswith("clusters:"):
            with np.load(folder / "clusters.npz", allow_pickle=False) as points:
                clusters |= dict(points)
    metrics = read_json(context.inputs["classifier"] / "metrics.json")
    manifests = artifacts.lineage(context.inputs.values())
    run = {
        "name": context.config["config"]["name"],
        "project_version": artifacts.library_versions()["madvae_tf"],
        "commit": _commit(),
        "dataset": dataset_name(from_dict(context.config["config"]).data),
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
            name.removeprefix("vae:"): _training_log(folder / "log.csv")
            for name, folder in context.inputs.items()
            # A purifier that was trained elsewhere has no log.
            if name.startswith("vae:") and (folder / "log.csv").exists()
        },
        "notes": baseline_notes(from_dict(context.config["config"]).baselines),
        "warnings": [*sanity_warnings(rows), *doubts],
    }
    if "tune" in context.inputs:
        used = "tuned" if context.config["config"]["name"].endswith("-tuned") else "hand-picked"
        run["tuning"] = {**read_json(context.inputs["tune"] / "tuned.json"), "used": used}
    write(context.folder, run, rows, images, clusters)


def export_defense(context: Context) -> None:
    """The SavedModel and the `.keras` file of one variant, or of the undefended classifier."""
    from madvae_tf.export.saved_model import export_classifier, export_purifier

    start_anew(context)
    classifier = load_classifier(context.inputs["classifier"])
    if "vae" in context.inputs:
        export_purifier(context.folder, load_model(context.inputs["vae"] / "purifier.keras"), classifier)
    else:
        export_classifier(context.folder, classifier)


def _training_log(path: Path) -> dict[str, list[float | None]]:
    import csv

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [float(row[name]) if row[name] else None for row in rows] for name in (rows[0] if rows else {})
    }


def _commit() -> str | None:
    """The commit of the code that runs, with "+" where files differ from it; None outside a checkout."""
    root = Path(__file__).resolve().parents[2]
    # An installation may lie inside somebody else's checkout.
    if not (root / ".git").exists():
        return None
    try:
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],
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
