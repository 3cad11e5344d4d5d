"""The defended system of a configuration whose `robust` a workdir holds, for benchmarks that ask what it withstands."""

from pathlib import Path
from typing import Any

from madvae_tf.config import Config
from madvae_tf.overrides import load_config


def load_system(config_file: str, workdir: Path) -> tuple[Config, Any, Any, dict[str, Any]]:
    """The configuration, its classifier, its `robust` and the splits of its images."""
    from madvae_tf.data.prepare import load_splits
    from pipeline.planning import plan, with_inputs
    from pipeline.stages import build_stages
    from pipeline.steps.common import load_classifier, load_model

    config = load_config(config_file)
    robust = [stage for stage in build_stages(config, "")["vae"] if stage.instance == "robust"]
    folders = {step.stage.stage: step.folder for step in plan(with_inputs(robust), workdir)}
    return (
        config,
        load_classifier(folders["classifier"]),
        load_model(folders["vae"] / "purifier.keras"),
        load_splits(config.data.name, folders["data"] / "tfds", config.data.validation_images),
    )
