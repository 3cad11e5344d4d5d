"""The stages that make data: the data set itself, and adversarial sets."""

import zlib
from pathlib import Path
from typing import Any

from madvae_tf.utils.files import write_json
from pipeline.engine.plan import Context
from pipeline.steps import engines
from pipeline.steps.common import ARRAYS, attack_target, splits_of, start_anew


def prepare_data(context: Context) -> None:
    """Fetches the IDX files, writes the TFDS dataset and `source.json`, the stamp of where it came
    from.
    """
    from madvae_tf.data.catalogue import DATASETS
    from madvae_tf.data.sources import fetch_idx

    dataset = DATASETS[context.config["name"]]
    source = fetch_idx(dataset, context.config["path"])
    # After the files are found to be good: it loads TensorFlow.
    from madvae_tf.data.prepare import prepare_tfds

    prepare_tfds(dataset, source, context.folder / "tfds")
    stamp = {"kind": source.kind, "detail": source.detail, "sha256": source.sha256}
    write_json(context.folder / "source.json", stamp)


def fetch_data(context: Context) -> None:
    """Has TFDS fetch and prepare one of its data sets, takes it over as arrays, and writes
    `source.json`.
    """
    from madvae_tf.data.own import in_two, wanted_shape, write_arrays
    from madvae_tf.data.tfds_sets import parts_of, prepare_from_tfds

    name, folder = context.config["name"], context.folder / "tfds"
    shape = wanted_shape(**_sides(context))
    stamp = prepare_from_tfds(name, folder, shape)
    splits = in_two(parts_of(name, folder, shape), name)
    write_arrays(context.folder / ARRAYS, splits)
    _say_budget(splits["train"].images)
    stamp |= {"classes": list(splits["train"].names)}
    write_json(context.folder / "source.json", stamp)


def import_data(path: Path, context: Context) -> None:
    """Takes over the user's own data at `path`, as arrays, and writes `source.json`."""
    from madvae_tf.data.own import read_own, write_arrays

    start_anew(context)
    splits = read_own(path, **_sides(context))
    write_arrays(context.folder / ARRAYS, splits)
    _say_budget(splits["train"].images)
    shape = " x ".join(map(str, splits["train"].images.shape[1:]))
    counts = ", ".join(f"{len(split.labels)} {name}" for name, split in splits.items())
    stamp = {
        "kind": "own",
        "detail": f"{path.name}: {counts}, {shape}",
        "sha256": {path.name: context.config["content"]},
        "classes": list(splits["train"].names),
    }
    write_json(context.folder / "source.json", stamp)


def _say_budget(images: Any) -> None:
    """What budget is usual for the images, where it is not that of the configurations."""
    from absl import logging

    from madvae_tf.utils.budgets import NEARLY_BINARY, budget_text, usual_budget

    usual = usual_budget(images)
    if usual.epsilon != NEARLY_BINARY:
        logging.warning(
            "The budgets of a configuration are MNIST's unless they are set; for %s %s is usual in"
            " L-infinity: --set=attack.test_epsilon=%.6g, attack.train_epsilons,"
            " attack.validation_epsilon, attack.alpha, robust.epsilon and robustness.linf in"
            " proportion.",
            usual.why,
            budget_text(usual.epsilon),
            usual.epsilon,
        )


def _sides(context: Context) -> dict[str, int]:
    """What pictures become; 0: as they are."""
    return {name: context.config.get(name, 0) for name in ("image_size", "channels", "image_width")}


def generate_adversarial_set(context: Context) -> None:
    """Attacks one split with one setting: a set of shards in the artifact's folder, made by the
    engine of this run.
    """
    from madvae_tf.utils.progress import progress_bar

    work = set_work(context)
    missing = work.missing()
    title = f"{context.config['split']} {context.config['attack']}"
    with progress_bar(
        len(work.rows), title, "image", done=len(work.rows) - work.images_in(missing)
    ) as bar:
        engines.current().make(context, work, missing, bar.update)
    work.finish()


def set_work(context: Context) -> Any:
    """The `SetWork` of a stage "attack": what the stage itself makes, and any worker of an engine."""  # noqa: E501
    from madvae_tf.attacks import ATTACKS
    from madvae_tf.data.generate import SetWork, draw_rows

    settings = context.config
    split = splits_of(context)[settings["split"]]
    purpose = [zlib.crc32(name.encode()) for name in settings["draw"]]
    return SetWork(
        folder=context.folder,
        attack=ATTACKS[settings["attack"]](**settings["parameters"]),
        target=attack_target(context.inputs["classifier"], settings["precision"]),
        split=split,
        rows=draw_rows(len(split), settings["images"], settings["seed"], *purpose),
        seed=settings["seed"],
        batch_size=settings["batch_size"],
        shard_size=settings["shard_size"],
        metadata={"dataset": settings["dataset"], "split": settings["split"]},
    )
