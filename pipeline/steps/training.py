"""The stages that train: a classifier, and a defence."""

from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps.common import classes_in, load_classifier, paired_sets, splits_of


def train_classifier(context: Context) -> None:
    """Trains the classifier; writes `classifier.keras`, `metrics.json`, `log.csv` and
    `tensorboard/`.
    """
    import keras

    from madvae_tf.data.batches import CleanImages, in_order
    from madvae_tf.data.generate import draw_rows
    from madvae_tf.training.classifier import ClassifierTrainer, build_classifier
    from madvae_tf.training.replicas import exponential_decay
    from madvae_tf.training.scaffold import train_on_rows

    settings = context.config
    splits = splits_of(context)
    rows = draw_rows(len(splits["train"]), settings["train_images"], settings["seed"], 1)
    images = CleanImages(splits["train"], rows)
    data = (images.image_shape, classes_in(splits))

    def build(total: int) -> ClassifierTrainer:
        classifier = build_classifier(
            settings["name"], settings["dropout"], settings["precision"], *data
        )
        trainer = ClassifierTrainer(
            classifier, settings["max_shift"], settings["seed"], settings.get("flip", False)
        )
        schedule = exponential_decay(
            settings["learning_rate"], settings["final_learning_rate"], total
        )
        trainer.compile(optimizer=keras.optimizers.Adam(schedule))  # pyright: ignore[reportArgumentType]
        return trainer

    trainer, _ = train_on_rows(
        build,
        images,
        "classifier",
        batch_size=settings["batch_size"],
        epochs=settings["epochs"],
        seed=settings["seed"],
        folder=context.folder,
        checkpoints=context.scratch / "checkpoints",
        validation=in_order(CleanImages(splits["validation"]), 500),
        checkpoint_steps=settings["checkpoint_steps"],
    )
    final = build_classifier(settings["name"], settings["dropout"], "float32", *data)
    final.set_weights(trainer.classifier.get_weights())
    final.save(context.folder / "classifier.keras")
    write_json(context.folder / "metrics.json", classifier_metrics(final, splits, settings["seed"]))


def classifier_metrics(classifier: Any, splits: dict[str, Any], seed: int) -> dict[str, Any]:
    """Accuracies on the validation and the test images, with their intervals."""
    import tensorflow as tf

    from madvae_tf.data.prepare import to_float
    from madvae_tf.evaluation.intervals import wilson_interval
    from madvae_tf.evaluation.oblivious import batched

    compiled = tf.function(classifier)
    metrics: dict[str, Any] = {"seed": seed}
    for name in ("validation", "test"):
        predicted = batched(compiled, to_float(splits[name].images), 500).argmax(axis=1)
        correct = int((predicted == splits[name].labels).sum())
        n = len(predicted)
        metrics[name] = {"accuracy": correct / n, "ci": list(wilson_interval(correct, n)), "n": n}
    return metrics


def train_defense(context: Context) -> None:
    """Trains one row of `DEFENSES`, a variant or another defence, and writes what it learnt."""
    from madvae_tf.defenses import DEFENSES
    from madvae_tf.utils.errors import lookup

    settings = context.config
    defense = lookup(DEFENSES, settings["defense"], "defense")(**settings["parameters"])
    defense.train(training_inputs(context), context.folder)


def training_inputs(context: Context) -> Any:
    """The `TrainingInputs` that the stage's inputs and settings make."""
    from madvae_tf.defenses.base import TrainingInputs

    settings = context.config
    splits = splits_of(context)
    # A defence that learns from no pairs gets none.
    pairs: dict[str, Any] = {
        name: paired_sets(context, splits[name], name) if settings["pairs"] else None
        for name in ("train", "validation")
    }
    return TrainingInputs(
        train=splits["train"],
        validation=splits["validation"],
        pairs=pairs["train"],
        validation_pairs=pairs["validation"],
        classifier=load_classifier(context.inputs["classifier"]),
        classifier_name=settings["classifier"],
        seed=settings["seed"],
        precision=settings["precision"],
        scratch=context.scratch,
        trained=context.channel("trained"),
    )
