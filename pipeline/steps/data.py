"""The stages that make data: the data set itself, and adversarial sets."""

import zlib

from pipeline import artifacts
from pipeline.runner import Context
from pipeline.steps.common import attack_target, splits_of


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


def generate_adversarial_set(context: Context) -> None:
    """Attacks one split with one setting: a set of shards in the artifact's folder."""
    from madvae_tf.attacks import ATTACKS
    from madvae_tf.data.generate import draw_rows, generate_set
    from madvae_tf.progress import progress_bar

    settings = context.config
    split = splits_of(context)[settings["split"]]
    purpose = [zlib.crc32(name.encode()) for name in settings["draw"]]
    rows = draw_rows(len(split), settings["images"], settings["seed"], *purpose)
    attack = ATTACKS[settings["attack"]](**settings["parameters"])
    title = f"{settings['split']} {settings['attack']}"
    with progress_bar(len(rows), title, "image") as bar:
        generate_set(
            context.folder,
            attack,
            attack_target(context.inputs["classifier"], settings["precision"]),
            split,
            rows,
            settings["seed"],
            settings["batch_size"],
            settings["shard_size"],
            {"dataset": settings["dataset"], "split": settings["split"]},
            bar.update,
        )
