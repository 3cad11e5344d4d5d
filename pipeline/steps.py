"""The functions of the stages: each reads its input artifacts and settings, and writes its own folder.

The library is imported inside them: TensorFlow is loaded only by a stage that runs.
"""

import functools
import json
import math
import subprocess
import zlib
from pathlib import Path
from typing import Any

from pipeline import artifacts
from pipeline.runner import Context

_LOG_STEPS = 20


def prepare_data(context: Context) -> None:
    """Fetches the IDX files, writes the TFDS dataset and `source.json`, the stamp of where it came from."""
    from madvae_tf.data.sources import DATASETS, fetch_idx

    dataset = DATASETS[context.config["name"]]
    source = fetch_idx(dataset, context.config["path"])
    # After the files are found to be good: it loads TensorFlow.
    from madvae_tf.data.prepare import prepare_tfds

    prepare_tfds(dataset, source, context.folder / "tfds")
    stamp = {"kind": source.kind, "detail": source.detail, "sha256": source.sha256}
    artifacts.write_json(context.folder / "source.json", stamp)


def train_classifier(context: Context) -> None:
    """Trains the classifier; writes `classifier.keras`, `metrics.json`, `log.csv` and `tensorboard/`."""
    import keras

    from madvae_tf.data.batches import CleanImages, in_order, training_dataset
    from madvae_tf.data.generate import draw_rows
    from madvae_tf.training.callbacks import MeanLog, Progress
    from madvae_tf.training.classifier import ClassifierTrainer, build_classifier
    from madvae_tf.training.loop import default_strategy, evaluate_steps, train
    from madvae_tf.training.replicas import exponential_decay

    settings = context.config
    splits = _splits(context)
    rows = draw_rows(len(splits["train"]), settings["train_images"], settings["seed"], 1)
    images = CleanImages(splits["train"], rows)
    batch_size = min(settings["batch_size"], len(images))
    steps, epochs = len(images) // batch_size, settings["epochs"]
    strategy = default_strategy()
    keras.utils.set_random_seed(settings["seed"])
    with strategy.scope():
        classifier = build_classifier(settings["name"], settings["dropout"], settings["precision"])
        trainer = ClassifierTrainer(classifier, settings["max_shift"], settings["seed"])
        schedule = exponential_decay(
            settings["learning_rate"], settings["final_learning_rate"], steps * epochs
        )
        trainer.compile(optimizer=keras.optimizers.Adam(schedule))  # pyright: ignore[reportArgumentType]
    validation = in_order(CleanImages(splits["validation"]), 500)
    train(
        trainer,
        lambda start: training_dataset(images, batch_size, settings["seed"], start, steps * epochs),
        steps,
        epochs,
        strategy,
        context.scratch / "checkpoints",
        settings["checkpoint_steps"],
        [Progress("classifier", steps * epochs), MeanLog(context.folder, _log_steps(settings))],
        lambda: evaluate_steps(trainer, validation),
    )
    final = build_classifier(settings["name"], settings["dropout"], "float32")
    final.set_weights(classifier.get_weights())
    final.save(context.folder / "classifier.keras")
    artifacts.write_json(
        context.folder / "metrics.json", _classifier_metrics(final, splits, settings["seed"])
    )


def _classifier_metrics(classifier: Any, splits: dict[str, Any], seed: int) -> dict[str, Any]:
    import tensorflow as tf

    from madvae_tf.data.prepare import to_float
    from madvae_tf.evaluate import batched, wilson_interval

    compiled = tf.function(classifier)
    metrics: dict[str, Any] = {"seed": seed}
    for name in ("validation", "test"):
        predicted = batched(compiled, to_float(splits[name].images), 500).argmax(axis=1)
        correct = int((predicted == splits[name].labels).sum())
        n = len(predicted)
        metrics[name] = {"accuracy": correct / n, "ci": list(wilson_interval(correct, n)), "n": n}
    return metrics


def generate_adversarial_set(context: Context) -> None:
    """Attacks one split with one setting: a set of shards in the artifact's folder."""
    from madvae_tf.attacks import ATTACKS
    from madvae_tf.data.generate import draw_rows, generate_set
    from madvae_tf.progress import progress_bar

    settings = context.config
    split = _splits(context)[settings["split"]]
    purpose = [zlib.crc32(name.encode()) for name in settings["draw"]]
    rows = draw_rows(len(split), settings["images"], settings["seed"], *purpose)
    attack = ATTACKS[settings["attack"]](**settings["parameters"])
    title = f"{settings['split']} {settings['attack']}"
    with progress_bar(len(rows), title, "image") as bar:
        generate_set(
            context.folder,
            attack,
            _target(context.inputs["classifier"] / "classifier.keras", settings["precision"]),
            split,
            rows,
            settings["seed"],
            settings["batch_size"],
            settings["shard_size"],
            {"dataset": settings["dataset"], "split": settings["split"]},
            bar.update,
        )


def train_purifier(context: Context) -> None:
    """Trains one variant; writes `purifier.keras`, `centers.npy`, `metrics.json`, `log.csv` and `tensorboard/`."""
    import keras
    import numpy as np

    from madvae_tf.data.batches import in_order, training_dataset
    from madvae_tf.models.vae import DefenseVAE
    from madvae_tf.training.callbacks import MeanLog, Progress, PurifierPictures
    from madvae_tf.training.classifier import build_classifier
    from madvae_tf.training.defense import DefenseTrainer
    from madvae_tf.training.loop import default_strategy, evaluate_steps, train
    from madvae_tf.training.replicas import exponential_decay

    settings = context.config
    splits = _splits(context)
    pairs = _paired(context, splits["train"], "train")
    validation = _paired(context, splits["validation"], "validation")
    batch_size = min(settings["batch_size"], len(pairs))
    steps, epochs, first = len(pairs) // batch_size, settings["epochs"], settings["first_epoch"]
    frozen = _load(context.inputs["classifier"] / "classifier.keras")
    strategy = default_strategy()
    keras.utils.set_random_seed(settings["seed"])
    with strategy.scope():
        classifier = build_classifier(settings["classifier"], 0.0, settings["precision"])
        classifier.set_weights(frozen.get_weights())
        purifier = DefenseVAE(settings["latent_size"], dtype=settings["precision"])
        if "warmup" in context.inputs:
            purifier.set_weights(_load(context.inputs["warmup"] / "purifier.keras").get_weights())
        seed = settings["seed"] + first
        trainer = DefenseTrainer(purifier, classifier, settings["weights"], seed, settings["clip_norm"])
        schedule = exponential_decay(
            settings["learning_rate"], settings["final_learning_rate"], steps * epochs
        )
        trainer.compile(optimizer=keras.optimizers.Adam(schedule))  # pyright: ignore[reportArgumentType]
    x_adv, clean, _ = validation.batch(np.linspace(0, len(validation) - 1, 8).astype(int))
    watched = in_order(validation, 500)
    train(
        trainer,
        lambda start: training_dataset(
            pairs, batch_size, settings["seed"], steps * first + start, steps * (first + epochs)
        ),
        steps,
        epochs,
        strategy,
        context.scratch / "checkpoints",
        settings["checkpoint_steps"],
        [
            Progress(f"purifier {settings['variant']}", steps * epochs),
            MeanLog(context.folder, _log_steps(settings)),
            PurifierPictures(context.folder, {"x_adv": x_adv, "x": clean}, settings["image_steps"]),
        ],
        lambda: evaluate_steps(trainer, watched),
    )
    final = DefenseVAE(settings["latent_size"])
    final.set_weights(purifier.get_weights())
    final.save(context.folder / "purifier.keras")
    if trainer.centers is not None:
        np.save(context.folder / "centers.npy", np.asarray(trainer.centers))
    metrics = {"pairs": len(pairs), "steps": steps * epochs, "batch_size": batch_size}
    artifacts.write_json(context.folder / "metrics.json", metrics)


def evaluate_defense(context: Context) -> None:
    """One defence (or none) on every test set: `rows.json`, `predictions.npz`, `images.npz`."""
    import numpy as np
    import tensorflow as tf

    from madvae_tf import evaluate
    from madvae_tf.data.adversarial_sets import AdversarialSet
    from madvae_tf.data.prepare import to_float
    from madvae_tf.models.defended import defended_logits
    from madvae_tf.progress import progress_bar
    from madvae_tf.report.schema import POOLED_ATTACK

    _start_anew(context)
    settings = context.config
    split = _splits(context)["test"]
    classifier = _load(context.inputs["classifier"] / "classifier.keras")
    purifier = _load(context.inputs["vae"] / "purifier.keras") if "vae" in context.inputs else None
    undefended, defended = tf.function(classifier), tf.function(defended_logits(classifier, purifier))
    common = {
        "dataset": settings["dataset"],
        "threat_model": "oblivious",
        "defense": settings["defense"],
        "seed": settings["seed"],
    }
    tests = {
        name.removeprefix("set:"): AdversarialSet.open(folder)
        for name, folder in context.inputs.items()
        if name.startswith("set:")
    }
    shown = _first_of_each_digit(list(tests.values())[-1])
    rows: list[dict[str, Any]] = []
    predictions: dict[str, Any] = {}
    images: dict[str, Any] = {}
    with progress_bar(len(tests), f"evaluate {settings['defense']}", "set") as bar:
        for name, test in tests.items():
            x_adv, index = test.gather(np.arange(len(test)))
            clean, label = to_float(split.images[index]), test.labels
            predicted = evaluate.batched(defended, x_adv, settings["batch_size"]).argmax(axis=1)
            clean_predicted = evaluate.batched(undefended, clean, settings["batch_size"]).argmax(axis=1)
            named = {**common, "attack": name, "parameters": test.metadata["parameters"]}
            rows += evaluate.table1_rows(predicted, label, clean_predicted, named)
            if purifier is None and name != "none":
                rows += evaluate.attack_rows(x_adv, clean, predicted, label, named)
            predictions |= {f"{name}/predicted": predicted, f"{name}/label": label, f"{name}/index": index}
            places = np.flatnonzero(np.isin(index, shown))
            places = places[np.argsort(label[places])]
            if len(places) == len(shown):
                images |= {"clean": clean[places], "label": label[places]}
                images[f"prediction/{settings['defense']}/{name}"] = predicted[places]
                if purifier is None:
                    images[f"adversarial/{name}"] = x_adv[places]
                else:
                    images[f"purified/{settings['defense']}/{name}"] = np.asarray(purifier(x_adv[places]))
            bar.update()
    pooled = POOLED_ATTACK.split("+")
    if set(pooled) <= set(tests):
        predicted, label = (
            np.concatenate([predictions[f"{name}/{field}"] for name in pooled])
            for field in ("predicted", "label")
        )
        rows += evaluate.confusion_rows(predicted, label, common)
    np.savez(context.folder / "predictions.npz", **predictions)
    np.savez(context.folder / "images.npz", **images)
    artifacts.write_json(context.folder / "rows.json", rows)


def _first_of_each_digit(test: Any) -> Any:
    """Indices of the images that Figures 7-11 show: the first of each class in a test set."""
    import numpy as np

    return test.indices[np.unique(test.labels, return_index=True)[1]]


def write_report(context: Context) -> None:
    """The page, its figures and `results.json`, from the rows of every evaluated defence."""
    import numpy as np

    from madvae_tf.evaluate import sanity_warnings
    from madvae_tf.report import write_report as write

    _start_anew(context)
    rows: list[dict[str, Any]] = []
    images: dict[str, Any] = {}
    for name, folder in context.inputs.items():
        if name.startswith("evaluate:"):
            rows += _json(folder / "rows.json")
            with np.load(folder / "images.npz") as pictures:
                images |= dict(pictures)
    metrics = _json(context.inputs["classifier"] / "metrics.json")
    manifests = artifacts.lineage(context.inputs.values())
    run = {
        "name": context.config["config"]["name"],
        "project_version": artifacts.library_versions()["madvae_tf"],
        "commit": _commit(),
        "dataset": context.config["config"]["data"]["name"],
        "seed": context.config["config"]["seed"],
        "command": context.config["command"],
        "config": context.config["config"],
        "precision": context.config["precision"],
        "source": _json(context.inputs["data"] / "source.json"),
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
            if name.startswith("vae:")
        },
        "warnings": sanity_warnings(rows),
    }
    write(context.folder, run, rows, images)


def export_defense(context: Context) -> None:
    """The SavedModel and the `.keras` file of one variant, or of the undefended classifier."""
    from madvae_tf.export import export_classifier, export_purifier

    _start_anew(context)
    classifier = _load(context.inputs["classifier"] / "classifier.keras")
    if "vae" in context.inputs:
        export_purifier(context.folder, _load(context.inputs["vae"] / "purifier.keras"), classifier)
    else:
        export_classifier(context.folder, classifier)


def _splits(context: Context) -> dict[str, Any]:
    settings = context.config
    return _load_splits(settings["dataset"], context.inputs["data"] / "tfds", settings["validation_images"])


@functools.lru_cache(maxsize=1)
def _load_splits(dataset: str, data_dir: Path, validation_images: int) -> dict[str, Any]:
    """Kept for the stages that follow in this process: decoding takes seconds."""
    from madvae_tf.data.prepare import load_splits

    return load_splits(dataset, data_dir, validation_images)


def _paired(context: Context, split: Any, name: str) -> Any:
    from madvae_tf.data.adversarial_sets import AdversarialSet, PairedSets

    folders = [folder for key, folder in context.inputs.items() if key.startswith(f"{name}:")]
    return PairedSets([AdversarialSet.open(folder) for folder in folders], split.images, split.labels)


def _load(path: Path) -> Any:
    import keras

    # Their classes must be registered before the file is read.
    import madvae_tf.models.classifiers
    import madvae_tf.models.vae  # noqa: F401

    model: Any = keras.saving.load_model(path, compile=False)
    model.trainable = False
    return model


@functools.lru_cache(maxsize=2)
def _target(path: Path, precision: str) -> Any:
    """Kept for the stages that follow in this process: compiled gradients are cached by its callables."""
    from madvae_tf.attacks import Target

    classifier = _load(path)
    if precision != "float32":
        config = {**classifier.get_config(), "dtype": precision}
        computing = type(classifier).from_config(config)
        computing.set_weights(classifier.get_weights())
        classifier = computing
    return Target(logits=functools.partial(classifier, training=False))


def _log_steps(settings: dict[str, Any]) -> int:
    """Steps between rows of the log: a checkpoint must not fall in the middle of a row's mean."""
    return math.gcd(_LOG_STEPS, settings["checkpoint_steps"])


def _start_anew(context: Context) -> None:
    """Removes what a killed attempt left, so that no half-written file joins the artifact."""
    for name in artifacts.content_files(context.folder):
        (context.folder / name).unlink()


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _training_log(path: Path) -> dict[str, list[float | None]]:
    import csv

    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: [float(row[name]) if row[name] else None for row in rows] for name in (rows[0] if rows else {})
    }


def _commit() -> str | None:
    """The commit of the code that runs, with "+" where files differ from it; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
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
    import os
    import platform

    return {
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.system(),
        "architecture": platform.machine(),
    }
