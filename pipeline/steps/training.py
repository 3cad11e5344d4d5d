"""The stages that train: the classifier, and one purifier."""

import math
from typing import Any

from pipeline import artifacts
from pipeline.runner import Context
from pipeline.steps.common import load_model, paired_sets, splits_of

_LOG_STEPS = 20


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
    splits = splits_of(context)
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
    splits = splits_of(context)
    pairs = paired_sets(context, splits["train"], "train")
    validation = paired_sets(context, splits["validation"], "validation")
    batch_size = min(settings["batch_size"], len(pairs))
    steps, epochs, first = len(pairs) // batch_size, settings["epochs"], settings["first_epoch"]
    frozen = load_model(context.inputs["classifier"] / "classifier.keras")
    strategy = default_strategy()
    keras.utils.set_random_seed(settings["seed"])
    with strategy.scope():
        classifier = build_classifier(settings["classifier"], 0.0, settings["precision"])
        classifier.set_weights(frozen.get_weights())
        purifier = DefenseVAE(settings["latent_size"], dtype=settings["precision"])
        if "warmup" in context.inputs:
            purifier.set_weights(load_model(context.inputs["warmup"] / "purifier.keras").get_weights())
        seed = settings["seed"] + first
        trainer = DefenseTrainer(
            purifier, classifier, settings["weights"], seed, settings["clip_norm"], settings["max_shift"]
        )
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


def _log_steps(settings: dict[str, Any]) -> int:
    """Steps between rows of the log: a checkpoint must not fall in the middle of a row's mean."""
    return math.gcd(_LOG_STEPS, settings["checkpoint_steps"])
